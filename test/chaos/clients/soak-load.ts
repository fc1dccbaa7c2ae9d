/**
 * The load of `soak`: 500 requests a second to a thousand streams that come and go, numbered appends, batches,
 * catch-ups, one bad request in a hundred, and 200 followers that come and go.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Kept } from "../../support/memory.ts"
import { residentBytes } from "../../support/memory.ts"
import type { Random } from "../../support/random.ts"
import type { ServerProcess } from "../../support/server-process.ts"
import { check } from "../harness/checks.ts"
import { readOurs } from "../harness/finals.ts"
import type { Follow, Result } from "../harness/ledger.ts"
import { Ledger, now } from "../harness/ledger.ts"
import { usageOf } from "../harness/looks.ts"
import type { Context } from "../harness/suite.ts"
import { ask } from "./ask.ts"
import type { Appending } from "./doors.ts"
import { nativeDoor, protocolPath } from "./doors.ts"
import { Follower } from "./follower.ts"

const streamsAtOnce = 1_000
/** The number of streams that stay. Every operation on them is noted and checked at the end. */
const streamsChecked = 20
const followersAtOnce = 200
const requestsPerSecond = 500
const tickMillis = 20

/**
 * More open requests than this mean that the server does not keep up, and would only fill the memory of this process.
 */
const underWayMax = 256

const sampleMillis = 5_000

/**
 * The interval at which garbage is collected to measure the memory that is left. A collection takes some tenths of a
 * second, during which the load sends no request.
 */
const collectMillis = 30_000
/** A short run collects more often: a slope needs ten samples, and half of them are taken during the warm-up. */
const collectedAtLeast = 24

/**
 * For the first four fifths of the warm-up the load is twice as high. Rarely called code is then compiled as well, and
 * memory reaches its highest level. Otherwise both take longer than the hour, and get ever slower.
 */
const hurried = { part: 0.8, times: 2 } as const

/**
 * The first events of the streams that stay: more than a catch-up reads at a time (readBytes in stream.ts), and more
 * than memory keeps. Therefore the streams do not take more memory as they grow.
 */
const beginning = { commits: 10, events: 60, padding: 1_000 } as const

/** The time in which the server notices that a client has left. */
const leaveMillis = 5_000

const weights = { append: 80, batch: 7, producer: 5, read: 3, tail: 3, bad: 1, replace: 1 } as const

interface Sample {
  readonly hours: number
  readonly megabytes: number
  readonly descriptors: number
}

interface KeptAt extends Kept {
  readonly hours: number
}

export class Load {
  requests = 0
  failed = 0
  followed = 0
  readonly #server: ServerProcess
  /** The file with a line for each memory sample, for a person who wants to see how the result came about. */
  readonly #samples: string
  readonly #random: Random
  readonly #say: (text: string) => void
  readonly #ledger: Ledger
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
  readonly #names: Array<string>
  readonly #numbers = new Map<string, number>()
  /** Streams with a numbered append under way. The next numbered append waits for it, as a producer does. */
  readonly #numbering = new Set<string>()
  readonly #followers: Array<{ readonly follower: Follower; readonly until: number }> = []
  #made = 0
  #replaced = 0
  #underWay = 0

  constructor({ directory, random, say }: Context, server: ServerProcess) {
    this.#server = server
    this.#samples = Path.join(directory, "samples.ndjson")
    this.#random = random
    this.#say = say
    this.#ledger = new Ledger(Path.join(directory, "ledger.ndjson"))
    this.#names = Array.from(
      { length: streamsAtOnce },
      (_, i) => i < streamsChecked ? `stays-${i}` : `soak-${this.#made++}`
    )
  }

  get checked(): number {
    return this.#ledger.operations.length
  }

  /** Writes the first events of the streams that stay. */
  async begin(): Promise<void> {
    const { commits, events, padding } = beginning
    for (const stream of this.#names.slice(0, streamsChecked)) {
      for (let i = 0; i < commits; i++) {
        const keys = Array.from({ length: events }, (_, event) => `0.${i}.${event}`)
        await this.#put(stream, true, { keys, padding })
      }
    }
  }

  async run(
    millis: number,
    warmUp: number
  ): Promise<{ readonly samples: ReadonlyArray<Sample>; readonly kept: ReadonlyArray<KeptAt> }> {
    const samples: Array<Sample> = []
    const kept: Array<KeptAt> = []
    const from = now()
    let due = 0
    let counted = from
    let sampled = from
    let collected = from
    while (now() - from < millis) {
      const times = now() - from < warmUp * hurried.part ? hurried.times : 1
      due += times * requestsPerSecond * (now() - counted) / 1_000
      counted = now()
      for (; due >= 1; due--) if (this.#underWay < underWayMax) void this.#step()
      this.#churn()
      if (now() - sampled >= sampleMillis) {
        sampled = now()
        samples.push(this.#sample((sampled - from) / 3_600_000))
      }
      if (now() - collected >= Math.min(collectMillis, millis / collectedAtLeast)) {
        collected = now()
        const hours = (collected - from) / 3_600_000
        await this.#answered()
        const left = { hours, ...await this.#server.kept() }
        kept.push(left)
        const line = JSON.stringify({ ...samples.at(-1), ...left })
        fs.appendFileSync(this.#samples, `${line}\n`)
        if (kept.length % 10 === 0) this.#say(line)
        // The load does not make up for requests that it did not send meanwhile.
        counted = now()
      }
      await sleep(tickMillis)
    }
    return { samples, kept }
  }

  /** Ends the load, and checks the streams that stay against the noted operations. */
  async settle(): Promise<ReadonlyArray<string>> {
    await this.#answered()
    for (const { follower } of this.#followers) this.#leave(follower)
    this.#agent.destroy()
    await this.#alone()
    const streams = this.#names.slice(0, streamsChecked)
    const { finals, violations } = await readOurs(nativeDoor, this.#server.port, streams, this.#server.directory)
    const { operations } = this.#ledger
    this.#ledger.close()
    return [...violations, ...check({ operations, follows: this.#follows, finals }), ...this.#late]
  }

  async #answered(): Promise<void> {
    while (this.#underWay > 0) await sleep(tickMillis)
  }

  /** Waits until the server counts no connection but the one that asks. */
  async #alone(): Promise<void> {
    const until = now() + leaveMillis
    while (true) {
      const usage = await usageOf(this.#server.port)
      if (usage?.followers === 0 && usage.connections === 1) return
      if (now() > until) return void this.#late.push(`when all are gone, ${JSON.stringify(usage)} is left`)
      await sleep(tickMillis)
    }
  }

  readonly #late: Array<string> = []
  /** The follows of streams that stay. */
  readonly #follows: Array<Follow> = []

  #sample(hours: number): Sample {
    const { pid } = this.#server
    return {
      hours,
      megabytes: residentBytes(pid) / 2 ** 20,
      descriptors: fs.readdirSync(`/proc/${pid}/fd`).length
    }
  }

  /** Replaces followers: each lives for a second to a minute. */
  #churn(): void {
    const at = now()
    for (let i = this.#followers.length - 1; i >= 0; i--) {
      if (this.#followers[i]!.until > at) continue
      this.#leave(this.#followers[i]!.follower)
      this.#followers.splice(i, 1)
    }
    while (this.#followers.length < followersAtOnce) {
      const stream = this.#random.pick(this.#names)
      const follower = new Follower("follower", this.#server.port, stream)
      this.#followers.push({ follower, until: at + this.#random.between(1_000, 60_000) })
    }
  }

  #leave(follower: Follower): void {
    follower.stop()
    this.followed += follower.seen.length
    if (follower.stream.startsWith("stays-")) this.#follows.push(follower.follow)
    const gap = follower.seen.findIndex(({ offset }, i) => offset !== i)
    if (gap >= 0) this.#late.push(`C12 ${follower.stream}: offset ${follower.seen[gap]!.offset} when ${gap} was next`)
  }

  async #step(): Promise<void> {
    this.#underWay++
    this.requests++
    const random = this.#random
    const slot = random.between(0, streamsAtOnce - 1)
    const stream = this.#names[slot]!
    const kind = random.weighted(weights)
    const { port } = this.#server
    if (kind === "bad") {
      const answer = await ask(port, `/streams/${random.pick(["%ff", "a?offset=x", "%00", "x".repeat(600)])}`, {
        method: random.pick(["POST", "GET", "PATCH"]),
        body: random.pick(["", "{", "[1,2", "\u0000"]),
        agent: this.#agent
      })
      this.#judge(answer?.status)
    } else if (kind === "replace") await this.#replace()
    else if (kind === "read") this.#judge((await nativeDoor.read(port, stream, 0))?.status)
    else if (kind === "tail") {
      this.#judge((await ask(port, protocolPath(stream), { method: "HEAD", agent: this.#agent }))?.status)
    } else await this.#append(stream, slot < streamsChecked, kind, random)
    this.#underWay--
  }

  async #append(stream: string, noted: boolean, kind: "append" | "batch" | "producer", random: Random): Promise<void> {
    const numbered = kind === "producer" && !this.#numbering.has(stream)
    const seq = this.#numbers.get(stream) ?? 0
    const keys = Array.from({ length: kind === "batch" ? random.between(2, 20) : 1 }, (_, i) => `${this.requests}.${i}`)
    const producer = numbered ? { id: "soak", epoch: 0, seq } : undefined
    if (numbered) this.#numbering.add(stream)
    const outcome = await this.#put(stream, noted, { keys, producer, padding: random.between(0, 200) })
    if (!numbered) return
    this.#numbering.delete(stream)
    if (outcome === "ok") this.#numbers.set(stream, seq + 1)
  }

  async #put(stream: string, noted: boolean, appending: Appending): Promise<Result> {
    const { keys, producer } = appending
    const invoke = now()
    const { offset, outcome, repeated, status } = await nativeDoor.append(
      this.#server.port,
      stream,
      appending,
      this.#agent
    )
    this.#judge(status)
    const operation = { op: "append", client: "soak", stream, keys, producer, invoke, complete: now() } as const
    if (noted) this.#ledger.add({ ...operation, outcome, status, offset, repeated })
    return outcome
  }

  /**
   * Deletes the oldest stream and creates another one in its place. This goes in turn, so that the streams hold the
   * same amount at any time. A random choice would vary by more than the growth that the suite looks for.
   */
  async #replace(): Promise<void> {
    const slot = streamsChecked + this.#replaced++ % (streamsAtOnce - streamsChecked)
    const old = this.#names[slot]!
    this.#names[slot] = `soak-${this.#made++}`
    this.#numbers.delete(old)
    this.#judge((await nativeDoor.delete(this.#server.port, old)).status)
  }

  /** Counts a failure if a request has no answer, or if the server refuses a load that fits. */
  #judge(status = 0): void {
    if (status === 0 || status >= 500) this.failed++
  }
}
