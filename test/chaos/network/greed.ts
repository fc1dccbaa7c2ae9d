/**
 * The least that costs the most, at every route: while somebody asks for it, nobody else waits for more than a quarter of a
 * second, the server grows by no more than it may, and afterwards everything that was held is free again.
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

/** What anybody else may wait at the most; ten times as much in the short form, beside which other tests run. */
const waitMillisMax = { full: 250, brief: 2_500 }

/** What the server may grow by: bodies and answers of everybody together, and what a collector has not looked at yet. */
const grownBytesMax = 320 * 1024 * 1024

/** Beyond this the server is ended, whatever it is at: the machine is not ours alone. */
const residentBytesMax = 4 * 1024 * 1024 * 1024

/** Ten milliseconds of work and a flush take this long where the machine has the time. */
const yardstickMillisMax = 60

/** How often an attack is tried again when the machine had no time. */
const triesMax = { full: 4, brief: 2 }

/** How long an attack stays when all is sent, and how long a server has to forget it. */
const stayMillis = { full: 3_000, brief: 300 }
const forgottenWithin = 10_000

/** A minute until a stream falls asleep. */
const asleepWithin = 90_000

/** Descriptors that come and go, apart from those of streams that are awake. */
const filesSpare = 8

export const attacks: ReadonlyArray<Attack> = [...many, ...large]

export const greed: Suite = {
  name: "greed",
  about: "the least that costs the most, at every route: nobody else waits, and nothing is kept",
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
          await untilTold(context, Path.join(directory, `${round}-${i}`), attack, clients, found)
        }
      }
    } finally {
      clients.end()
    }
    return found.outcome
  }
}

/** An attack, again where the machine was too busy to tell who made others wait. */
const untilTold = async (context: Context, directory: string, attack: Attack, clients: Clients, found: Found) => {
  const form = context.options.brief ? "brief" : "full"
  for (let attempt = 1;; attempt++) {
    const trial = await tried(context, Path.join(directory, `${attempt}`), attack, clients)
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

const tried = async (context: Context, directory: string, attack: Attack, clients: Clients): Promise<Trial> => {
  const { brief } = context.options
  const violations: Array<string> = []
  const server = await ServerProcess.make(directory)
  await server.start(attack.start)
  const stage = new Stage(server.port, brief)
  const watch = setInterval(() => {
    if (residentOf(server) > residentBytesMax) {
      violations.push("it had more than 4 GB and was ended")
      server.signal("SIGKILL")
    }
  }, 20)
  let grownBytes = 0
  let seen = nothing
  try {
    await attack.prepare?.(stage)
    stage.sent = 0
    const prober = await clients.at(server.port)
    // What is compiled and opened once is none of the attack's.
    prober.begin()
    await pause(200)
    await prober.end()
    const before = { usage: await usageOf(server.port), files: openFiles(server.pid) }
    const resident = residentBytes(server.pid)
    forgetPeak(server.pid)
    prober.begin()
    await attack.run(stage)
    // Who comes behind all of it is answered when all of it was taken in.
    for (let i = 0; i < 3; i++) await usageOf(server.port)
    if (server.isRunning) violations.push(...(await attack.check?.(stage) ?? []))
    await pause(brief ? stayMillis.brief : stayMillis.full)
    if (server.isRunning) grownBytes = peakBytes(server.pid) - resident
    stage.leave()
    seen = await prober.end()
    prober.leave()
    if (server.isRunning) {
      violations.push(...seen.refused.map((refused) => `somebody else was refused: ${refused}`))
      if (grownBytes > grownBytesMax) violations.push(`it grew by ${Math.round(grownBytes / 2 ** 20)} MiB`)
      violations.push(...await forgotten(server, before.usage, before.files + (attack.files ?? 0), brief))
    } else {
      violations.push(`the server ended: ${server.log.slice(-500)}`)
    }
  } catch (error) {
    violations.push(`it could not be tried: ${String(error)}`)
  } finally {
    clearInterval(watch)
    stage.leave()
    await server.kill()
    if (violations.length === 0) fs.rmSync(directory, { recursive: true, force: true })
  }
  return { seen, sent: stage.sent, grownBytes, violations }
}

/** What it has now; nothing where it has ended. */
const residentOf = ({ isRunning, pid }: ServerProcess): number => {
  try {
    return isRunning ? residentBytes(pid) : 0
  } catch {
    return 0
  }
}

/** Whether what was held is free again. */
const forgotten = async (
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

/** The others, and the yardstick, which are processes of their own. */
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
    return new Clients(yardstick, await told<number>(yardstick))
  }

  async at(port: number) {
    const process = fork(prober, ["prober", String(port), String(this.#port)])
    await new Promise((resolve) => process.once("spawn", resolve))
    return {
      begin: () => void process.send("begin"),
      end: (): Promise<Seen> => {
        process.send("end")
        return told<Seen>(process)
      },
      leave: () => void process.kill()
    }
  }

  end(): void {
    this.#yardstick.kill()
  }
}

const prober = Path.join(import.meta.dirname, "greed-prober.ts")

const told = <A>(process: ChildProcess): Promise<A> =>
  new Promise((resolve, reject) => {
    process.once("message", (message) => resolve(message as A))
    process.once("exit", (code) => reject(new Error(`It ended with ${code} and said nothing.`)))
  })

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
