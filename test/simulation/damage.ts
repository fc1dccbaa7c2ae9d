/**
 * Finished logs of some hundred commits whose bytes are damaged anywhere (G5), in this process. Damage with anything
 * valid after it is found, reported and never cut away. The log serves the original up to the damage, and every other
 * log is unchanged.
 */
import { Effect, Exit } from "effect"
import { isDeepStrictEqual } from "node:util"
import { LogDamaged } from "../../src/domain/errors.ts"
import { toOffset } from "../../src/domain/types.ts"
import { crcToEnd, trailerLength } from "../../src/storage-filesystem/format/record-codec.ts"
import type { Commit, Log } from "../../src/storage/storage.ts"
import type { Suite } from "../chaos/harness/suite.ts"
import { pathOf, storageOn } from "../support/log-fixtures.ts"
import type { Random } from "../support/random.ts"
import { commitOf, described, named, readUpTo, textsOf } from "../support/storage-fixtures.ts"
import { damageBytes } from "./damage-kinds.ts"
import { contentsOf } from "./disk-logs.ts"
import { FaultDisk } from "./fault-disk.ts"
import { inProcess, type Logged } from "./in-process.ts"

export const damage: Suite = {
  name: "damage",
  about: "damaged logs, in process: readers are told of all damage, none is served, no other log suffers",
  rounds: 10_000,
  run: async ({ random, rounds, say }) => {
    const finished = await finishedLogs(random.fork())
    const total = new Total()
    for (let round = 0; round < rounds && total.violations.length === 0; round++) {
      await oneDamage(finished, random.fork(), round, total)
      if (round % 1_000 === 999) say(`${round + 1} damages, ${total.told} told, ${total.cut} at the tail`)
    }
    const { cut, told, unchanged, violations } = total
    return { counts: { damages: rounds, told, atTheTail: cut, unchanged }, violations }
  }
}

export class Total {
  /** The number of damages that a reader was told of. */
  told = 0
  /** Damages with nothing valid after them: like a torn commit, they may be cut. */
  cut = 0
  /** The damage changed nothing: the swapped blocks, or the zeros, were the same as before. */
  unchanged = 0
  readonly violations: Array<string> = []
}

interface Finished {
  readonly name: string
  readonly texts: ReadonlyArray<string>
  /** The end of each commit; the first is the header. */
  readonly ends: ReadonlyArray<number>
  /** The number of events up to each end. */
  readonly tails: ReadonlyArray<number>
  readonly state: Readonly<Record<string, string>>
}

interface FinishedLogs {
  readonly logs: ReadonlyArray<Finished>
  readonly files: Readonly<Record<string, Buffer>>
}

/**
 * Logs of each kind: small events, batches, large events; with or without state; longer or shorter than the part that
 * opening reads.
 */
const kinds = [
  { name: "small", commits: 300, events: 1, bytes: 60, state: false },
  { name: "batches", commits: 200, events: 12, bytes: 90, state: true },
  { name: "large", commits: 120, events: 1, bytes: 4_000, state: false },
  { name: "state", commits: 400, events: 1, bytes: 20, state: true }
] as const

export const finishedLogs = (random: Random): Promise<FinishedLogs> =>
  inProcess(Effect.gen(function*() {
    const disk = new FaultDisk()
    const logs: Array<Finished> = []
    for (const kind of kinds) logs.push(yield* finish(disk, kind, random))
    return { logs, files: disk.files }
  }))

const finish = Effect.fnUntraced(
  function*(disk: FaultDisk, { bytes, commits: count, events, name, state }: (typeof kinds)[number], random: Random) {
    const storage = yield* storageOn(disk)
    const commits: Array<Commit> = []
    let first = 0
    let log: Log | undefined
    for (let i = 0; i < count; i++) {
      const data = Array.from(
        { length: random.between(1, events) },
        (_, event) => JSON.stringify({ i, event, x: "x".repeat(random.between(0, 2 * bytes)) })
      )
      const changes = state && random.chance(0.5) ? `{"producer:${random.between(0, 9)}":[0,${i}]}` : "{}"
      const commit = commitOf(name, first, data, changes)
      if (log === undefined) log = yield* storage.create(described(name), commit)
      else yield* log.commit(commit)
      first += data.length
      commits.push(commit)
    }
    const contents = contentsOf(commits)
    const tails = commits.map(({ events }) => events.first + events.count)
    return { name, ...contents, tails: [0, ...tails], ends: endsOf(disk.files[pathOf(name)]!) }
  },
  Effect.scoped
)

const endsOf = (bytes: Buffer): ReadonlyArray<number> => {
  const ends: Array<number> = []
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf("\n", start) + 1
    if (trailerLength(bytes, start, end) > 0) ends.push(end)
    start = end
  }
  return ends
}

/** Damages one of the logs, and checks it and the others. */
export const oneDamage = async (
  { files, logs }: FinishedLogs,
  random: Random,
  round: number,
  total: Total
): Promise<void> => {
  const log = random.pick(logs)
  const path = pathOf(log.name)
  const original = files[path]!
  const { bytes, kind } = damageBytes(original, log.ends, random)
  if (bytes.equals(original)) {
    total.unchanged++
    return
  }
  const lines: Array<Logged> = []
  const other = random.pick(logs.filter((each) => each !== log))
  const disk = FaultDisk.holding({ [path]: bytes, [pathOf(other.name)]: files[pathOf(other.name)]! })
  const place = placeOf(original, bytes, log.ends)
  const { found, isWhole, told } = await inProcess(look(disk, log, place, random), (line) => lines.push(line))
  const says = ({ fields }: Logged) =>
    fields["stream"] === log.name && fields["path"] === path &&
    (told === undefined || fields["offset"] === toOffset(told))
  const isLogged = lines.some(says)
  if (told !== undefined || (isWhole && isLogged)) total.told++
  else if (place.tells) found.push(`damage after ${place.before} commits is not reported`)
  else total.cut++
  if (told !== undefined && !isLogged) found.push(`the server's log does not say that the file is damaged at ${told}`)
  found.push(...await inProcess(reads(disk, other)))
  const left = disk.files
  if (left[pathOf(other.name)]?.equals(files[pathOf(other.name)]!) !== true) {
    found.push(`the file of ${other.name} was changed`)
  }
  // Only damage with nothing valid after it may be cut; later appends lie after all of it.
  if (place.tells && left[path]?.subarray(0, bytes.length).equals(bytes) !== true) {
    found.push("the damaged file was changed")
  }
  total.violations.push(...found.map((sentence) => `damage ${round}, ${kind} of ${log.name}: ${sentence}`))
}

interface Place {
  /** The number of commits before the damage; -1 if the header is damaged. */
  readonly before: number
  /** Whether the bytes after the damage reveal it. */
  readonly tells: boolean
}

const placeOf = (original: Buffer, bytes: Buffer, ends: ReadonlyArray<number>): Place => {
  const shorter = Math.min(original.length, bytes.length)
  let same = 0
  while (same < shorter && original[same] === bytes[same]) same++
  let sameBehind = 0
  while (sameBehind < shorter - same && original.at(-1 - sameBehind) === bytes.at(-1 - sameBehind)) sameBehind++
  const last = original.length - sameBehind
  return {
    before: ends.filter((end) => end <= same).length - 1,
    // The last commit's checksum continues from the checksum of the commit before it.
    tells: ends.length > 1 && ends.at(-2)! - crcToEnd >= last
  }
}

const look = Effect.fnUntraced(
  function*(
    disk: FaultDisk,
    { name, state, tails, texts }: Finished,
    { before, tells: isBeforeTail }: Place,
    random: Random
  ) {
    const found: Array<string> = []
    /** The offset from which on the log is damaged, if a reader is told so. */
    let told: number | undefined
    /** Whether the log serves all original events, because a duplicate of the damaged part exists. */
    let isWhole = false
    const sound = texts.slice(0, tails[Math.max(before, 0)])
    const storage = yield* Effect.orDie(storageOn(disk))
    const opening = yield* Effect.exit(storage.open(named(name)))
    if (Exit.isFailure(opening)) {
      // The whole part of the first commit can be too little to identify the stream.
      if (before > 0) found.push(`${before} whole commits are not served: ${String(opening.cause)}`)
      if (!isToldAt(opening, 0)) found.push(`opening does not report the damage: ${String(opening.cause)}`)
      told = 0
    } else {
      const log = opening.value
      const served = yield* readUntilTold(log)
      const isTold = served.exit !== undefined
      if (isTold) told = sound.length
      if (served.exit !== undefined && !isToldAt(served.exit, sound.length)) {
        found.push(`a read reports the damage differently: ${String(served.exit)}`)
      }
      isWhole = isDeepStrictEqual(served.texts, texts)
      if (!isWhole && !isDeepStrictEqual(served.texts, sound)) {
        found.push(`${served.texts.length} events are served, ${sound.length} were before the damage`)
      }
      if (isBeforeTail && log.tail !== texts.length) found.push(`the tail is ${log.tail} and was ${texts.length}`)
      found.push(...yield* readBehind(log, texts, sound.length, random))
      found.push(...yield* appendBehind(log, state, isBeforeTail))
    }
    if ((yield* storage.list()).length !== 2) found.push("a stream is not listed any more")
    return { found, isWhole, told }
  },
  Effect.scoped,
  Effect.orDie
)

/** Whether the answer says that the log is damaged from this offset on. */
const isToldAt = (exit: Exit.Exit<unknown, unknown>, offset: number): boolean =>
  Exit.isFailure(exit) &&
  exit.cause.reasons.some((reason) =>
    reason._tag === "Fail" && reason.error instanceof LogDamaged && reason.error.offset === toOffset(offset)
  )

/** Reads up to the first failure. */
const readUntilTold = Effect.fnUntraced(function*(log: Log) {
  const texts: Array<string> = []
  while (texts.length < log.tail) {
    const exit = yield* Effect.exit(log.read(texts.length, 64 * 1024))
    if (Exit.isFailure(exit)) return { texts, exit }
    if (exit.value.count === 0) return { texts: [...texts, "an answer of nothing"], exit: undefined }
    texts.push(...textsOf(exit.value))
  }
  return { texts, exit: undefined }
})

/** A reader that asks for events behind the damage gets the true events or an error, never others. */
const readBehind = Effect.fnUntraced(function*(log: Log, texts: ReadonlyArray<string>, from: number, random: Random) {
  for (let asked = 0; asked < 5 && from < log.tail; asked++) {
    const at = random.between(from, log.tail - 1)
    const exit = yield* Effect.exit(log.read(at, 1_024))
    if (Exit.isSuccess(exit) && textsOf(exit.value)[0] !== texts[at]) return [`another event is served at ${at}`]
  }
  return []
})

/** An append after the damage is stored, unless the log has lost its state and says so. */
const appendBehind = Effect.fnUntraced(function*(log: Log, state: Finished["state"], isBeforeTail: boolean) {
  const isTrue = isDeepStrictEqual(Object.fromEntries([...log.state].toSorted()), state)
  const more = commitOf(log.description.name, log.tail, [`"behind the damage"`])
  const exit = yield* Effect.exit(log.commit(more))
  if (Exit.isFailure(exit)) return isTrue ? [`nothing can be appended: ${String(exit.cause)}`] : []
  if (!isTrue && isBeforeTail) return [`another state is believed: ${JSON.stringify([...log.state])}`]
  const read = yield* Effect.exit(log.read(log.tail, 1))
  return Exit.isSuccess(read) && textsOf(read.value)[0] === textsOf(more)[0] ? [] : ["what was appended is not there"]
})

const reads = (disk: FaultDisk, { name, texts }: Finished) =>
  Effect.gen(function*() {
    const storage = yield* storageOn(disk)
    const log = yield* storage.open(named(name))
    const read = yield* readUpTo(log, log.tail, 0, 64 * 1024)
    return isDeepStrictEqual(read, texts) ? [] : [`${name}, which was not damaged, reads differently`]
  }).pipe(Effect.scoped, Effect.orDie)
