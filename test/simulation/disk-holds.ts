/**
 * The conditions that hold on a disk after a crash (docs/storage-format.md 5 and 6): the logs consist of whole commits,
 * contain every acknowledged commit, accept appends, and are still there after the next crash.
 */
import { Effect, Exit } from "effect"
import { isDeepStrictEqual } from "node:util"
import type { Commit, Log } from "../../src/storage/storage.ts"
import { directory, storageOn } from "../support/log-fixtures.ts"
import type { Random } from "../support/random.ts"
import { commitOf, named, readUpTo } from "../support/storage-fixtures.ts"
import { type Asked, contentsOf } from "./disk-logs.ts"
import { crashModes, type FaultDisk } from "./fault-disk.ts"

/** Crashes in a row: each happens during the recovery from the one before. */
const crashesInARow = 2

/** Returns a sentence for each violation. */
export const holds = (
  disk: FaultDisk,
  asked: ReadonlyArray<Asked>,
  random: Random
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    let seen = disk
    for (let crash = 0; crash < crashesInARow && random.chance(0.3); crash++) {
      seen = yield* crashInRecovery(seen, random)
    }
    const found: Array<string> = []
    const after = yield* recover(seen, asked, random, found)
    // A second crash: the recovery, and the appends after it, are as durable as the recovered commits.
    const mode = random.pick(["each its own", ...crashModes] as const)
    yield* recover(
      seen.crash(mode, (below) => random.between(0, below - 1)),
      after,
      random,
      found
    )
    return found
  })

/** Crashes at a random call of the recovery. */
const crashInRecovery = (disk: FaultDisk, random: Random): Effect.Effect<FaultDisk> =>
  Effect.gen(function*() {
    let left = random.between(0, 30)
    let crashed: FaultDisk | undefined
    disk.before = () =>
      Effect.sync(() => {
        if (left-- === 0) crashed = disk.crash("each its own", (below) => random.between(0, below - 1))
      })
    yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
      const storage = yield* storageOn(disk)
      for (const name of yield* storage.list()) yield* Effect.exit(storage.open(name))
    })))
    disk.before = () => Effect.void
    return crashed ?? disk
  })

/** Opens every log as the next process does. Returns the present contents, with one more event in each log. */
const recover = Effect.fnUntraced(
  function*(disk: FaultDisk, asked: ReadonlyArray<Asked>, random: Random, found: Array<string>) {
    const after: Array<Asked> = []
    const storage = yield* storageOn(disk)
    for (const { acknowledged, maybe, name, there } of asked) {
      const opening = yield* Effect.exit(storage.open(named(name)))
      if (Exit.isFailure(opening)) {
        const isNotThere = String(opening.cause).includes("StreamNotFound")
        if (!isNotThere) found.push(`${name}: it cannot be opened: ${String(opening.cause)}`)
        else if (there === "yes") found.push(`${name}: it was acknowledged and is not there`)
        continue
      }
      if (there === "no") found.push(`${name}: it was deleted and is there`)
      const log = opening.value
      const commits = yield* commitsIn(log, acknowledged, maybe, random)
      if (typeof commits === "string") {
        found.push(`${name}: ${commits}`)
        continue
      }
      const more = commitOf(name, log.tail, [`"after the crash"`], `{"producer:0":[1,${log.tail}]}`)
      const appended = yield* Effect.exit(log.commit(more))
      if (Exit.isFailure(appended)) found.push(`${name}: the log takes no appends: ${String(appended.cause)}`)
      after.push({ name, acknowledged: [...commits, more], maybe: [], there: "yes" })
    }
    const listed = yield* Effect.orDie(storage.list())
    const names = after.map(({ name }) => name).toSorted()
    if (!isDeepStrictEqual([...listed], names)) {
      found.push(`${listed.join()} are listed, but ${names.join()} are there`)
    }
    const left = yield* Effect.orDie(disk.list(directory))
    if (left.some((file) => file.endsWith(".new"))) found.push(`a half-made log is left: ${left.join()}`)
    return after
  },
  Effect.scoped,
  Effect.catchTags({
    StorageFailed: ({ message }) => Effect.die(message),
    StorageUnavailable: ({ message }) => Effect.die(message)
  })
)

/** Returns the commits of the log, or the fault of the log. */
const commitsIn = Effect.fnUntraced(
  function*(log: Log, acknowledged: ReadonlyArray<Commit>, maybe: ReadonlyArray<Commit>, random: Random) {
    const reading = yield* Effect.exit(readUpTo(log, log.tail, 0, random.pick([1, 1_024, 512 * 1_024])))
    if (Exit.isFailure(reading)) return `it cannot be read: ${String(reading.cause)}`
    const contents = { texts: reading.value, state: Object.fromEntries([...log.state].toSorted()) }
    const one = [[], ...maybe.map((commit) => [commit])].map((more) => [...acknowledged, ...more]).find((commits) =>
      commits.length > 0 && isDeepStrictEqual(contentsOf(commits), contents)
    )
    if (one !== undefined) return one
    const least = contentsOf(acknowledged)
    const same = contents.texts.findIndex((text, i) => text !== least.texts[i])
    return `${least.texts.length} events were acknowledged, ${contents.texts.length} are there, the first different one is ${same}; ` +
      `its state is ${JSON.stringify(contents.state)} and was ${JSON.stringify(least.state)}`
  }
)
