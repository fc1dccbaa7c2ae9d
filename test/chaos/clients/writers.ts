/**
 * Clients that write until they are told to stop, in whatever state the server is, and note the answers they get.
 */
import * as http from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import type { Random } from "../../support/random.ts"
import type { Ledger } from "../harness/ledger.ts"
import { now } from "../harness/ledger.ts"
import type { Appending, Door } from "./doors.ts"

export interface Surroundings {
  readonly port: number
  readonly door: Door
  readonly ledger: Ledger
  /** Clients call this before every request. */
  readonly isOver: () => boolean
  /** Returns the number of bytes added to an event that is appended alone. */
  readonly padding?: (random: Random) => number
  /** A prefix for the names of clients, for streams that earlier clients have already written to. */
  readonly prefix?: string
}

/** The pause before a client retries a server that is down. */
const pauseMillis = 10

/** The pause of a reader: it leaves the processor to the others. */
const readEveryMillis = 20
const readAgainMost = 50

/** Two producers that number their appends, one client that does not, and one that appends many events at a time. */
export const everyKind = (at: Surroundings, stream: string, random: Random): ReadonlyArray<Promise<void>> => [
  producer(at, stream, "p0", "w\\", random.fork()),
  producer(at, stream, "p1", "w\"", random.fork()),
  ...withoutNumbers(at, stream, random)
]

export const withoutNumbers = (at: Surroundings, stream: string, random: Random): ReadonlyArray<Promise<void>> => [
  appender(at, stream, `${at.prefix ?? ""}a`, random.fork()),
  appender(at, stream, `${at.prefix ?? ""}b`, random.fork(), (random) => random.between(1, 50))
]

/**
 * Numbers its appends, and sends each until the server answers it. The server knows the two producers as `w\` and `w"`:
 * a careless reader of a log takes one for the other.
 */
const producer = async (
  at: Surroundings,
  stream: string,
  name: string,
  known: string,
  random: Random
): Promise<void> => {
  const client = (at.prefix ?? "") + name
  const id = (at.prefix ?? "") + known
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  for (let seq = 0; !at.isOver(); seq++) {
    const appending: Appending = {
      keys: [`${stream}/${client}/${seq}`],
      padding: paddingOf(at, random),
      producer: { id, epoch: 0, seq }
    }
    const invoke = now()
    let answer = await at.door.append(at.port, stream, appending, agent)
    while ((answer.outcome === "unknown" || answer.status === 0) && !at.isOver()) {
      await sleep(pauseMillis)
      answer = await at.door.append(at.port, stream, appending, agent)
    }
    const { offset, outcome, repeated, status } = answer
    at.ledger.add({
      op: "append",
      client,
      stream,
      keys: appending.keys,
      producer: appending.producer,
      invoke,
      complete: now(),
      outcome,
      status,
      offset,
      repeated
    })
    // A refused number means that the producer counted wrongly; its later numbers would be wrong, too.
    if (outcome === "refused" && status !== 0) break
  }
  agent.destroy()
}

/** Appends `count` new events at a time. */
export const appender = async (
  at: Surroundings,
  stream: string,
  client: string,
  random: Random,
  count: (random: Random) => number = () => 1
): Promise<void> => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  for (let turn = 0; !at.isOver(); turn++) {
    const keys = Array.from({ length: count(random) }, (_, i) => `${stream}/${client}/${turn}.${i}`)
    const padding = keys.length === 1 ? paddingOf(at, random) : random.between(0, 300)
    const invoke = now()
    const { offset, outcome, repeated, status } = await at.door.append(at.port, stream, { keys, padding }, agent)
    at.ledger.add({ op: "append", client, stream, keys, invoke, complete: now(), outcome, status, offset, repeated })
    if (outcome === "unknown" || status === 0) await sleep(pauseMillis)
  }
  agent.destroy()
}

/**
 * Creates a stream after some milliseconds, and appends to it until the run is over, or a few times before it closes or
 * deletes the stream. An acknowledged final state goes into `acknowledged`.
 */
export const brief = async (
  at: Surroundings,
  stream: string,
  after: number,
  random: Random,
  end: "none" | "close" | "delete",
  acknowledged?: Set<string>
): Promise<void> => {
  const turns = end === "none" ? Infinity : random.between(1, 3)
  await sleep(after)
  if (at.isOver()) return
  const isMade = await at.door.create(at.port, stream) === "ok" && at.door.name === "protocol"
  if (isMade && end !== "delete") acknowledged?.add(stream)
  let turn = 0
  await appender({ ...at, isOver: () => at.isOver() || turn++ >= turns }, stream, "a", random)
  if (at.isOver() || end === "none") return
  const invoke = now()
  const { outcome, status } = await at.door[end](at.port, stream)
  at.ledger.add({ op: end, client: "a", stream, invoke, complete: now(), outcome, status })
}

/** Reads the new events of a stream, and a few that it already knows. */
export const reader = async (at: Surroundings, stream: string, random: Random): Promise<void> => {
  let known = 0
  for (; !at.isOver(); await sleep(random.between(0, readEveryMillis))) {
    const from = Math.max(0, known - random.between(0, readAgainMost))
    const invoke = now()
    const contents = await at.door.read(at.port, stream, from)
    if (contents?.status !== 200) continue
    const keys = contents.events.map(({ key }) => key)
    const common = { client: "r", stream, invoke, complete: now(), outcome: "ok", status: 200 } as const
    at.ledger.add({ op: "read", ...common, from, keys })
    known = Math.max(known, from + keys.length)
  }
}

/**
 * Returns the padding of an event: most events are small, some are large, a few are nearly as large as an event may be.
 */
const paddingOf = ({ padding }: Surroundings, random: Random): number => {
  if (padding !== undefined) return padding(random)
  const kind = random.next()
  return kind < 0.9
    ? random.between(0, 300)
    : kind < 0.99
    ? random.between(300, 200_000)
    : random.between(200_000, 900_000)
}
