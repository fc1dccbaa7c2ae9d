/**
 * One server in trouble: its appends go into a ledger, and at the end all operations are checked against the logs.
 */
import * as fs from "node:fs"
import type * as http from "node:http"
import * as Path from "node:path"
import type { Random } from "../../support/random.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { ask } from "../clients/ask.ts"
import { nativeDoor, protocolDoor } from "../clients/doors.ts"
import { Follower, settleFollowers } from "../clients/follower.ts"
import type { Surroundings } from "../clients/writers.ts"
import { everyKind } from "../clients/writers.ts"
import { check } from "./checks.ts"
import { readOurs } from "./finals.ts"
import { Ledger, now } from "./ledger.ts"

/** A connected follower has every event within this time. */
const livenessMillis = 2_000

/** Everything works again within this time after a trouble. */
export const recoveryMillis = 1_000

export class Trial {
  readonly server: ServerProcess
  readonly ledger: Ledger
  readonly violations: Array<string> = []
  /** The parts of the trial that could not run, and the reasons. */
  readonly left: Array<string> = []
  readonly #name: string
  readonly #followers: Array<Follower> = []
  readonly #streams = new Set<string>()
  #next = 0
  #loads = 0

  private constructor(name: string, server: ServerProcess, ledger: Ledger) {
    this.#name = name
    this.server = server
    this.ledger = ledger
  }

  static async make(directory: string, name: string): Promise<Trial> {
    const own = Path.join(directory, name)
    const server = await ServerProcess.make(own)
    return new Trial(name, server, new Ledger(Path.join(own, "ledger.ndjson")))
  }

  expect(isSo: boolean, otherwise: string): void {
    if (!isSo) this.violations.push(`${this.#name}: ${otherwise}`)
  }

  /**
   * Waits until the server reports one of these: whether it can store anything. The server checks that once a second.
   */
  async health(...expected: ReadonlyArray<"ok" | "failing">): Promise<void> {
    const until = now() + 2_000
    let told: string | undefined
    do {
      const answer = await ask(this.server.port, "/health")
      const { status } = JSON.parse(answer?.text ?? "{}") as { readonly status?: "ok" | "failing" }
      if (status !== undefined && expected.includes(status) && answer?.status === (status === "ok" ? 200 : 503)) return
      told = answer?.text
      await new Promise((resolve) => setTimeout(resolve, 100))
    } while (now() < until)
    this.expect(false, `the server's health is to be ${expected.join(" or ")}, and it says ${told}`)
  }

  /** Appends one event. Returns the status of the answer, 0 if there was none. */
  async append(stream: string, padding = 0, agent?: http.Agent): Promise<number> {
    this.#streams.add(stream)
    const keys = [`${stream}/${this.#next++}`]
    const invoke = now()
    const { offset, outcome, status } = await nativeDoor.append(this.server.port, stream, { keys, padding }, agent)
    this.ledger.add({ op: "append", client: "t", stream, keys, invoke, complete: now(), outcome, status, offset })
    return status
  }

  /** Runs clients of every kind on some streams, for so many milliseconds. */
  async load(streams: ReadonlyArray<string>, random: Random, millis: number): Promise<void> {
    const until = now() + millis
    const prefix = `${this.#loads++}.`
    const at = (i: number): Surroundings => ({
      port: this.server.port,
      door: i % 2 === 0 ? nativeDoor : protocolDoor,
      ledger: this.ledger,
      isOver: () => now() > until,
      prefix,
      padding: (random) => random.between(0, random.chance(0.97) ? 300 : 100_000)
    })
    for (const stream of streams) {
      this.#streams.add(stream)
      await protocolDoor.create(this.server.port, stream)
    }
    await Promise.all(streams.flatMap((stream, i) => everyKind(at(i), stream, random.fork())))
  }

  /** Returns the number of readable events; undefined if the server does not answer the read. */
  async count(stream: string): Promise<number | undefined> {
    const contents = await nativeDoor.read(this.server.port, stream, 0)
    return contents?.status === 200 ? contents.events.length : undefined
  }

  /** Leaves the stream out of the final check: it was deleted, or never created. */
  forget(stream: string): void {
    this.#streams.delete(stream)
  }

  acknowledged(stream: string): number {
    return this.ledger.operations
      .filter((operation) => operation.op === "append" && operation.stream === stream && operation.outcome === "ok")
      .length
  }

  follow(stream: string): void {
    this.#followers.push(new Follower(`f${this.#followers.length}`, this.server.port, stream))
  }

  /** Reads everything, checks it and kills the server. The server must run, without any trouble. */
  async finish(outside: (path: string) => string = (path) => path): Promise<void> {
    const { server } = this
    const { finals, violations } = await readOurs(
      nativeDoor,
      server.port,
      [...this.#streams],
      outside(server.directory)
    )
    const late = await settleFollowers(this.#followers, finals, livenessMillis)
    const follows = this.#followers.map(({ follow }) => follow)
    const { operations } = this.ledger
    for (const violation of [...late, ...violations, ...check({ operations, follows, finals, troubled: true })]) {
      this.expect(false, violation)
    }
    await this.end()
  }

  async end(): Promise<void> {
    for (const follower of this.#followers) follower.stop()
    await this.server.kill()
    this.ledger.close()
    if (this.violations.length === 0) fs.rmSync(Path.dirname(this.server.directory), { recursive: true, force: true })
  }
}
