/**
 * The cheapest requests that cost the server most, at every route. During an attack no other client waits for more than
 * a quarter of a second, the server grows by no more than its limit, and afterwards all held resources are free again.
 */
import { type ChildProcess, fork } from "node:child_process"
import * as fs from "node:fs"
import * as Path from "node:path"
import { forgetPeak, peakBytes, residentBytes } from "../../support/memory.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { comes, openFiles, type Usage, usageOf } from "../harness/looks.ts"
import type { Context, Outcome, Suite } from "../harness/suite.ts"
import { large } from "./greed-large.ts"
import { many } from "./greed-many.ts"
import type { Seen } from "./greed-prober.ts"
import type { Attack } from "./greed-stage.ts"
import { Stage } from "./greed-stage.ts"

/** The longest wait of any other client; ten times as long in the short form, beside which other tests run. */
const waitMillisMax = { full: 250, brief: 2_500 }

/** The most that the server may grow by: the bodies and answers of all clients together, and uncollected garbage. */
const grownBytesMax = 320 * 1024 * 1024

/** Beyond this size the suite ends the server, whatever it is doing: other programs use the machine, too. */
const residentBytesMax = 4 * 1024 * 1024 * 1024

/** The time that the yardstick takes at most (ten milliseconds of work and a flush) if the machine is not busy. */
const yardstickMillisMax = 60

/** How often an attack is tried if the machine is busy. */
const triesMax = { full: 4, brief: 2 }

/** How long the attacker stays after the last byte, and how long the server has to free everything. */
const stayMillis = { full: 3_000, brief: 300 }
const forgottenWithin = 10_000

/** A stream falls asleep after a minute. */
const asleepWithin = 90_000

/** Descriptors that come and go, besides those of awake streams. */
const filesSpare = 8

export const attacks: ReadonlyArray<Attack> = [...many, ...large]

export const greed: Suite = {
  name: "greed",
  about: "the cheapest requests that cost most, at every route: no other client waits, and the server keeps nothing",
  rounds: 1,
  run: async (context) => {
    const { directory, options, rounds } = context
    const chosen = attacks.filter(({ name }) => options.target === undefined || name === options.target)
    if (chosen.length === 0) return { counts: {}, violations: [`There is no attack named ${options.target}`] }
    const found = new Found()
    const clients = await Clients.make(directory)
    try {
      for (let round = 0; round < rounds; round++) {
        for (const [i, attack] of chosen.entries()) {
          await tryUntilClear(context, Path.join(directory, `${round}-${i}`), attack, clients, found)
        }
      }
    } finally {
      clients.end()
    }
    return found.outcome
  }
}

/** Runs an attack, and runs it again if the machine was too busy to tell who made the others wait. */
const tryUntilClear = async (context: Context, directory: string, attack: Attack, clients: Clients, found: Found) => {
  const form = context.options.brief ? "brief" : "full"
  for (let attempt = 1;; attempt++) {
    const trial = await tryAttack(context, Path.join(directory, `${attempt}`), attack, clients)
    const { grownBytes, seen, sent, violations } = trial
    const { append, health, read, yardstick } = seen.waits
    const wait = Math.max(append, health, read)
    context.say(
      `${attack.name}: ${Math.round(wait)} ms (health ${Math.round(health)}, append ${Math.round(append)}, read ${
        Math.round(read)
      }, yardstick ${Math.round(yardstick)}), ${Math.round(grownBytes / 2 ** 20)} MiB more, ${sent} bytes sent`
    )
    for (const violation of violations) context.say(`  ${violation}`)
    const waited = Math.max(0, wait - Math.max(0, yardstick - yardstickMillisMax)) > waitMillisMax[form]
    if (waited && yardstick > yardstickMillisMax && attempt < triesMax[form]) continue
    found.add(attack, trial, wait)
    if (waited) {
      found.violations.push(
        `${attack.name} (${attack.route}): others waited ${Math.round(wait)} ms, the yardstick ${
          Math.round(yardstick)
        } ms`
      )
    }
    found.violations.push(...violations.map((violation) => `${attack.name} (${attack.route}): ${violation}`))
    return
  }
}

interface Trial {
  readonly seen: Seen
  readonly sent: number
  readonly grownBytes: number
  readonly violations: ReadonlyArray<string>
}

const tryAttack = async (context: Context, directory: string, attack: Attack, clients: Clients): Promise<Trial> => {
  const { brief } = context.options
  const violations: Array<string> = []
  const server = await ServerProcess.make(directory)
  await server.start(attack.start)
  const stage = new Stage(server.port, brief)
  const watch = setInterval(() => {
    if (residentOf(server) > residentBytesMax) {
      violations.push("the server had more than 4 GB and was ended")
      server.signal("SIGKILL")
    }
  }, 20)
  let grownBytes = 0
  let seen = nothing
  try {
    await attack.prepare?.(stage)
    stage.sent = 0
    const prober = await clients.at(server.port)
    // Warm up, so that the attack is not charged for one-time compiling and opening.
    prober.begin()
    await pause(200)
    await prober.end()
    const before = { usage: await usageOf(server.port), files: openFiles(server.pid) }
    const resident = residentBytes(server.pid)
    forgetPeak(server.pid)
    prober.begin()
    await attack.run(stage)
    // A request behind the attack is answered after the server has read all of the attack.
    for (let i = 0; i < 3; i++) await usageOf(server.port)
    if (server.isRunning) violations.push(...(await attack.check?.(stage) ?? []))
    await pause(brief ? stayMillis.brief : stayMillis.full)
    if (server.isRunning) grownBytes = peakBytes(server.pid) - resident
    stage.leave()
    seen = await prober.end()
    prober.leave()
    if (server.isRunning) {
      violations.push(...seen.refused.map((refused) => `another client was refused: ${refused}`))
      if (grownBytes > grownBytesMax) violations.push(`the server grew by ${Math.round(grownBytes / 2 ** 20)} MiB`)
      violations.push(...await findLeftovers(server, before.usage, before.files + (attack.files ?? 0), brief))
    } else {
      violations.push(`the server ended: ${server.log.slice(-500)}`)
    }
  } catch (error) {
    violations.push(`the attack could not run: ${String(error)}`)
  } finally {
    clearInterval(watch)
    stage.leave()
    await server.kill()
    if (violations.length === 0) fs.rmSync(directory, { recursive: true, force: true })
  }
  return { seen, sent: stage.sent, grownBytes, violations }
}

/** Returns the resident bytes of the server; 0 if it has ended. */
const residentOf = ({ isRunning, pid }: ServerProcess): number => {
  try {
    return isRunning ? residentBytes(pid) : 0
  } catch {
    return 0
  }
}

/** Returns a sentence for each resource that is not free again. */
const findLeftovers = async (
  { pid, port }: ServerProcess,
  before: Usage | undefined,
  filesBefore: number,
  brief: boolean
): Promise<ReadonlyArray<string>> => {
  let now: Usage | undefined
  let files = 0
  const isOver = async () => {
    now = await usageOf(port)
    files = openFiles(pid)
    if (now === undefined || before === undefined) return false
    const awake = Math.max(0, now.awakeStreams - before.awakeStreams)
    return now.connections <= before.connections && now.followers <= before.followers &&
      files <= filesBefore + awake + filesSpare
  }
  if (!(await comes(isOver, forgottenWithin))) {
    return [
      `it was not over: ${JSON.stringify(now)} and ${files} files, before ${JSON.stringify(before)} and ${filesBefore}`
    ]
  }
  if (brief || now!.awakeStreams <= before!.awakeStreams + filesSpare) return []
  const isAsleep = async () => {
    now = await usageOf(port)
    return now !== undefined && now.awakeStreams <= before!.awakeStreams + filesSpare
  }
  return await comes(isAsleep, asleepWithin) ? [] : [`${now?.awakeStreams} streams do not fall asleep`]
}

class Found {
  readonly violations: Array<string> = []
  readonly #counts: Record<string, number> = {}
  #attacks = 0
  #answers = 0
  #waitMillis = 0
  #grownBytes = 0

  add({ name }: Attack, { grownBytes, seen }: Trial, wait: number): void {
    this.#attacks++
    this.#answers += seen.answers
    this.#waitMillis = Math.max(this.#waitMillis, wait)
    this.#grownBytes = Math.max(this.#grownBytes, grownBytes)
    this.#counts[`ms: ${name}`] = Math.max(this.#counts[`ms: ${name}`] ?? 0, Math.round(wait))
  }

  get outcome(): Outcome {
    return {
      counts: {
        attacks: this.#attacks,
        answers: this.#answers,
        waitMillis: Math.round(this.#waitMillis),
        grownMiB: Math.round(this.#grownBytes / 2 ** 20),
        ...this.#counts
      },
      violations: this.violations
    }
  }
}

const nothing: Seen = { waits: { health: 0, append: 0, read: 0, yardstick: 0 }, answers: 0, refused: [] }

/** The other clients and the yardstick, each a process of its own. */
class Clients {
  readonly #yardstick: ChildProcess
  readonly #port: number

  private constructor(yardstick: ChildProcess, port: number) {
    this.#yardstick = yardstick
    this.#port = port
  }

  static async make(directory: string): Promise<Clients> {
    fs.mkdirSync(directory, { recursive: true })
    const yardstick = fork(prober, ["yardstick", directory])
    return new Clients(yardstick, await receive<number>(yardstick))
  }

  async at(port: number) {
    const process = fork(prober, ["prober", String(port), String(this.#port)])
    await new Promise((resolve) => process.once("spawn", resolve))
    return {
      begin: () => void process.send("begin"),
      end: (): Promise<Seen> => {
        process.send("end")
        return receive<Seen>(process)
      },
      leave: () => void process.kill()
    }
  }

  end(): void {
    this.#yardstick.kill()
  }
}

const prober = Path.join(import.meta.dirname, "greed-prober.ts")

const receive = <A>(process: ChildProcess): Promise<A> =>
  new Promise((resolve, reject) => {
    process.once("message", (message) => resolve(message as A))
    process.once("exit", (code) => reject(new Error(`It ended with ${code} and said nothing.`)))
  })

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
