/**
 * Five clients do 200 operations each on three streams, one history a seed. The checks hold every answer and every
 * delivered event against the order of the final log (G8). In half of the seeds the server is killed on the way; in a
 * quarter it stands still for a while, like a laptop whose lid is closed; and in a quarter all traffic goes over a slow
 * link.
 */
import * as http from "node:http"
import * as Path from "node:path"
import type { Random } from "../../support/random.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { check } from "../harness/checks.ts"
import { readOurs } from "../harness/finals.ts"
import { Ledger, now } from "../harness/ledger.ts"
import type { Context, Suite } from "../harness/suite.ts"
import { SlowLink } from "../network/slow-link.ts"
import { ask } from "./ask.ts"
import type { Appending } from "./doors.ts"
import { nativeDoor, protocolPath } from "./doors.ts"
import { Follower, settleFollowers } from "./follower.ts"

const clientsAtOnce = 5
const stepsEach = 200
/** The number of steps in a short form. */
const stepsBriefly = 100

const weights = { append: 45, batch: 10, producer: 15, read: 15, tail: 5, conditional: 5, end: 5 } as const

/** A connected follower has every event within this time. */
const livenessMillis = 5_000

export const histories: Suite = {
  name: "histories",
  about: "concurrent clients, with kills, standstills and slow links: every answer fits the one order",
  rounds: 200,
  run: async (context) => {
    const server = await ServerProcess.make(context.directory)
    await server.start()
    const violations: Array<string> = []
    let operations = 0
    for (let round = 0; round < context.rounds && violations.length === 0; round++) {
      const history = new OneHistory(context, server, context.random.fork(), round)
      violations.push(...await history.run())
      operations += history.operations
      if (round % 10 === 9) context.say(`${round + 1} histories, ${operations} operations`)
    }
    await server.kill()
    return { counts: { histories: context.rounds, operations }, violations }
  }
}

class OneHistory {
  readonly #server: ServerProcess
  readonly #random: Random
  readonly #stepsEach: number
  readonly #ledger: Ledger
  /** The first stream stays, the second is deleted and created again, and the third is closed on the way. */
  readonly #streams: readonly [string, string, string]
  readonly #kills: boolean
  readonly #stops: boolean
  readonly #isSlow: boolean
  /** The port on which the clients reach the server. */
  #port: number
  /** The greatest tail that any client has seen, by stream: reads begin there. */
  readonly #tails = new Map<string, number>()
  #steps = 0
  /** The time during which there was no server, by the clock of the ledger. */
  #down: readonly [from: number, to: number] = [Infinity, Infinity]
  readonly #unanswered: Array<{ readonly what: string; readonly invoke: number; readonly complete: number }> = []

  constructor({ directory, options }: Context, server: ServerProcess, random: Random, round: number) {
    this.#server = server
    this.#random = random
    this.#stepsEach = options.brief ? stepsBriefly : stepsEach
    this.#ledger = new Ledger(Path.join(directory, `ledger-${round}.ndjson`))
    this.#streams = [`h${round}/stays`, `h${round}/comes and goes`, `h${round}/is closed`]
    this.#kills = round % 2 === 1
    this.#stops = round % 4 === 2
    // Half of the slow rounds include a kill.
    this.#isSlow = round % 8 === 3 || round % 8 === 4
    this.#port = server.port
  }

  get operations(): number {
    return this.#ledger.operations.length
  }

  async run(): Promise<ReadonlyArray<string>> {
    const server = this.#server
    const link = this.#isSlow ? await SlowLink.make(server.port, this.#random.fork()) : undefined
    this.#port = link?.port ?? server.port
    const trouble = this.#trouble(this.#random.fork())
    const followers = [0, 1].map((i) => new Follower(`follower ${i}`, this.#port, this.#streams[0]))
    const clients = Array.from({ length: clientsAtOnce }, (_, i) => this.#client(`c${i}`, this.#random.fork()))
    await Promise.all(clients)
    await trouble
    const { finals, violations } = await readOurs(nativeDoor, server.port, this.#streams, server.directory)
    const late = await settleFollowers(followers, finals, livenessMillis)
    link?.close()
    const { operations } = this.#ledger
    this.#ledger.close()
    const found = check({ operations, follows: followers.map(({ follow }) => follow), finals })
    return [...violations, ...late, ...found, ...this.#inVain()]
  }

  /**
   * C16: a request without an answer was sent while there was no server. Requests that were retried are not checked.
   */
  #inVain(): ReadonlyArray<string> {
    const [from, to] = this.#down
    return this.#unanswered.filter(({ complete, invoke }) => complete < from || invoke > to)
      .map(({ complete, invoke, what }) =>
        `C16 ${what}: no answer, from ${invoke} to ${complete}, down from ${from} to ${to}`
      )
  }

  /** One trouble somewhere in the middle, timed by steps, so that the plan determines it and not the clock. */
  async #trouble(random: Random): Promise<void> {
    if (!this.#kills && !this.#stops) return
    const at = random.between(clientsAtOnce * this.#stepsEach * 0.2, clientsAtOnce * this.#stepsEach * 0.8)
    while (this.#steps < at) await new Promise((resolve) => setTimeout(resolve, 1))
    if (this.#kills) {
      const from = now()
      await this.#server.kill()
      await this.#server.start()
      this.#down = [from, now()]
    } else {
      this.#server.signal("SIGSTOP")
      await new Promise((resolve) => setTimeout(resolve, random.between(100, 500)))
      this.#server.signal("SIGCONT")
    }
  }

  async #client(client: string, random: Random): Promise<void> {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const numbers = new Map<string, number>()
    for (let step = 0; step < this.#stepsEach; step++) {
      const stream = random.pick(this.#streams)
      const kind = random.weighted(weights)
      const key = (i = 0) => `${stream}/${client}/${step}.${i}`
      this.#steps++
      if (kind === "read" || kind === "tail") await this.#read(client, stream, kind === "tail", random)
      else if (kind === "end") await this.#end(client, stream, step)
      else {
        const seq = numbers.get(stream) ?? 0
        const appending: Appending = {
          keys: kind === "batch" ? Array.from({ length: random.between(2, 20) }, (_, i) => key(i)) : [key()],
          padding: random.between(0, 200),
          ...(kind === "producer" ? { producer: { id: client, epoch: 0, seq } } : {}),
          ...(kind === "conditional" ? { ifMatch: this.#tails.get(stream) ?? 0 } : {})
        }
        const outcome = await this.#append(client, stream, appending, agent)
        if (kind === "producer" && outcome === "ok") numbers.set(stream, seq + 1)
        // The stream was deleted meanwhile: its next life counts from 0.
        if (kind === "producer" && outcome === "refused") numbers.delete(stream)
      }
    }
    agent.destroy()
  }

  async #append(client: string, stream: string, appending: Appending, agent: http.Agent) {
    const invoke = now()
    let answer = await nativeDoor.append(this.#port, stream, appending, agent)
    // Only a numbered append may be sent again.
    while ((answer.outcome === "unknown" || answer.status === 0) && appending.producer !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      answer = await nativeDoor.append(this.#port, stream, appending, agent)
    }
    const { offset, outcome, repeated, status } = answer
    const { ifMatch, keys, producer } = appending
    if (outcome === "unknown" || status === 0) this.#noAnswer(`append of ${keys[0]}`, invoke)
    this.#ledger.add({
      op: "append",
      client,
      stream,
      keys,
      producer,
      ifMatch,
      invoke,
      complete: now(),
      outcome,
      status,
      offset,
      repeated
    })
    if (offset !== undefined) this.#shown(stream, offset + keys.length)
    return outcome
  }

  async #read(client: string, stream: string, onlyTail: boolean, random: Random): Promise<void> {
    const invoke = now()
    const known = stream === this.#streams[1] ? 0 : this.#tails.get(stream) ?? 0
    if (onlyTail) {
      const head = await ask(this.#port, protocolPath(stream), { method: "HEAD" })
      const tail = Number(/\d+/.exec(String(head?.headers["stream-next-offset"]))?.[0])
      if (head === undefined || head.status === 0 || head.status >= 500) this.#noAnswer(`HEAD of ${stream}`, invoke)
      if (head?.status !== 200 || !Number.isSafeInteger(tail)) return
      const common = { client, stream, invoke, complete: now(), status: 200, outcome: "ok" } as const
      return this.#ledger.add({ op: "read", ...common, from: tail, keys: [] })
    }
    const from = random.between(0, known)
    const contents = await nativeDoor.read(this.#port, stream, from)
    const complete = now()
    if (contents === undefined) this.#noAnswer(`read of ${stream}`, invoke)
    if (contents?.status !== 200) return
    const keys = contents.events.map(({ key }) => key)
    this.#ledger.add({ op: "read", client, stream, invoke, complete, outcome: "ok", status: 200, from, keys })
    this.#shown(stream, from + keys.length)
  }

  /** Deletes the second stream; late in a history, closes the third. */
  async #end(client: string, stream: string, step: number): Promise<void> {
    const isDelete = stream === this.#streams[1]
    if (!isDelete && (stream !== this.#streams[2] || step < this.#stepsEach / 2)) return
    const invoke = now()
    const { outcome, status } = isDelete
      ? await nativeDoor.delete(this.#port, stream)
      : await nativeDoor.close(this.#port, stream)
    if (outcome === "unknown" || status === 0) this.#noAnswer(`${isDelete ? "delete" : "close"} of ${stream}`, invoke)
    this.#ledger.add({ op: isDelete ? "delete" : "close", client, stream, invoke, complete: now(), outcome, status })
  }

  #noAnswer(what: string, invoke: number): void {
    this.#unanswered.push({ what, invoke, complete: now() })
  }

  #shown(stream: string, tail: number): void {
    this.#tails.set(stream, Math.max(this.#tails.get(stream) ?? 0, tail))
  }
}
