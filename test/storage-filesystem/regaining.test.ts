/**
 * Promise 2 for files that a process finds: the next power cut takes nothing that the process shows or builds on,
 * whether the process before it was killed or a flush failed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Disk, DiskFile } from "../../src/storage-filesystem/disk/disk.ts"
import { choosing, crashModes, failing, FaultDisk } from "../simulation/fault-disk.ts"
import { name, path, pathOf, recovering, storageOn, writing } from "../support/log-fixtures.ts"
import { commitOf, described, named, readUpTo, settled, shown, textsOf } from "../support/storage-fixtures.ts"
import { areas, dataOf, journaling, names, turns, Writing } from "./journal-fixtures.ts"

/** Every mode of a power cut, three times each, since the seed makes choices in it. */
const cuts = crashModes.flatMap((mode) => [1, 2, 3].map((seed) => [mode, seed] as const))

describe("Promise 2: after a kill", () => {
  it.effect("the bytes that were written and not flushed are on the medium before a reader sees them", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const log = yield* (yield* storageOn(disk)).create(described(name), commitOf(name, 0, ["0"]))
      const killed = yield* Deferred.make<void>()
      disk.before = (call) => call === "flush" ? Deferred.await(killed) : Effect.void
      const second = commitOf(name, 1, [`"${"y".repeat(3_000)}"`], `{"producer:p":[0,1]}`)
      yield* Effect.forkChild(log.commit(second), { startImmediately: true })
      yield* settled
      // The process is killed here: the next one finds the bytes that the kernel has.
      disk.before = () => Effect.void
      const again = yield* (yield* storageOn(disk)).open(named(name))
      const texts = yield* readUpTo(again, again.tail)
      assert.strictEqual(texts.length, 2)
      for (const [mode, seed] of cuts) {
        assert.deepStrictEqual(yield* recovering(disk.crash(mode, choosing(seed))), {
          texts,
          tail: 2,
          state: [["producer:p", "[0,1]"]]
        })
      }
      // The same holds while the next commit is on its way.
      disk.before = (call) => call === "flush" ? Deferred.await(killed) : Effect.void
      yield* Effect.forkChild(again.commit(commitOf(name, 2, [`"z"`])), { startImmediately: true })
      yield* settled
      for (const [mode, seed] of cuts) {
        const found = yield* recovering(disk.crash(mode, choosing(seed)))
        assert.deepStrictEqual(found?.texts.slice(0, 2), texts)
      }
      yield* Deferred.succeed(killed, undefined)
    }).pipe(Effect.scoped))

  it.effect("a new log's file is on the medium before it takes an append", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const killed = yield* Deferred.make<void>()
      disk.before = (call) => call === "flushDirectory" ? Deferred.await(killed) : Effect.void
      const making = storage.create(described(name), commitOf(name, 0, ["0"]))
      yield* Effect.forkChild(making, { startImmediately: true })
      yield* settled
      disk.before = () => Effect.void
      const log = yield* (yield* storageOn(disk)).open(named(name))
      yield* log.commit(commitOf(name, 1, ["1"]))
      assert.strictEqual((yield* recovering(disk.crash("nothing", () => 0)))?.tail, 2)
      yield* Deferred.succeed(killed, undefined)
    }).pipe(Effect.scoped))

  it.effect("a log is flushed once, when it is first opened", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* writing(disk, [commitOf(name, 0, ["0"])])
      const storage = yield* storageOn(disk)
      let flushes = 0
      disk.before = (call) => Effect.sync(() => void (call === "flush" && flushes++))
      for (let time = 0; time < 3; time++) yield* Effect.scoped(storage.open(named(name)))
      assert.strictEqual(flushes, 1)
    }).pipe(Effect.scoped))

  it.effect("a log can be read when the disk takes no write", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* writing(disk, [commitOf(name, 0, ["0"])])
      const storage = yield* storageOn(disk)
      disk.before = (call, path) => call === "write" ? Effect.fail(failing(call, path, "EROFS")) : Effect.void
      const log = yield* storage.open(named(name))
      assert.deepStrictEqual(yield* readUpTo(log, 1), [shown(name, 0, "0")])
    }).pipe(Effect.scoped))
})

describe("Promise 2: a log that falls asleep after a failed flush", () => {
  /** A commit is refused, and the log cannot cut it off. */
  const refused = Effect.fnUntraced(function*() {
    const disk = new FaultDisk()
    const storage = yield* storageOn(disk)
    yield* Effect.gen(function*() {
      const log = yield* storage.create(described(name), commitOf(name, 0, ["0"]))
      disk.flushesUntilFailure = 0
      disk.before = (call, path) => call === "truncate" ? Effect.fail(failing(call, path, "EROFS")) : Effect.void
      yield* Effect.flip(log.commit(commitOf(name, 1, [`"refused"`])))
    }).pipe(Effect.scoped)
    assert.include(disk.files[path]!.toString(), "refused")
    return { disk, storage }
  })

  it.effect("shows no refused event when it wakes, and takes appends when the disk does", () =>
    Effect.gen(function*() {
      const { disk, storage } = yield* refused()
      const texts = [shown(name, 0, "0"), shown(name, 1, `"kept"`)]
      yield* Effect.gen(function*() {
        const log = yield* storage.open(named(name))
        assert.strictEqual(log.tail, 1)
        assert.deepStrictEqual(yield* readUpTo(log, 1), texts.slice(0, 1))
        yield* Effect.flip(log.commit(commitOf(name, 1, [`"refused too"`])))
        disk.before = () => Effect.void
        yield* log.commit(commitOf(name, 1, [`"kept"`]))
      }).pipe(Effect.scoped)
      for (const [mode, seed] of cuts) {
        assert.deepStrictEqual((yield* recovering(disk.crash(mode, choosing(seed))))?.texts, texts)
      }
      const again = yield* storage.open(named(name))
      assert.deepStrictEqual(yield* readUpTo(again, again.tail), texts)
    }).pipe(Effect.scoped))

  it.effect("can be read by its forks up to its last acknowledged event, and a read never cuts it", () =>
    Effect.gen(function*() {
      const { disk, storage } = yield* refused()
      const source = yield* storage.describe(named(name))
      const forkedFrom = { stream: named(name), id: source.id, offset: 1, bytes: 0 }
      const fork = yield* storage.create({ ...described("fork"), forkedFrom }, commitOf("fork", 1, []))
      disk.before = () => Effect.void
      assert.deepStrictEqual(textsOf(yield* fork.read(0, 1_024)), [shown(name, 0, "0")])
      assert.include(disk.files[path]!.toString(), "refused")
      yield* (yield* storage.open(named(name))).commit(commitOf(name, 1, [`"kept"`]))
      assert.strictEqual((yield* recovering(disk.crash("nothing", () => 0)))?.tail, 2)
    }).pipe(Effect.scoped))

  it.effect("wakes without the refused event when the disk takes writes again", () =>
    Effect.gen(function*() {
      const { disk, storage } = yield* refused()
      disk.before = () => Effect.void
      const log = yield* storage.open(named(name))
      assert.strictEqual(log.tail, 1)
      assert.notInclude(disk.files[path]!.toString(), "refused")
      assert.strictEqual((yield* recovering(disk.crash("nothing", () => 0)))?.tail, 1)
    }).pipe(Effect.scoped))

  it.effect("keeps its fence, even if a fork reads it while it falls asleep", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const asleep = yield* Scope.make()
      const log = yield* Scope.provide(storage.create(described(name), commitOf(name, 0, ["0"])), asleep)
      const forkedFrom = { stream: named(name), id: log.description.id, offset: 1, bytes: 0 }
      const fork = yield* storage.create({ ...described("fork"), forkedFrom }, commitOf("fork", 1, []))
      disk.flushesUntilFailure = 0
      disk.before = (call, path) => call === "truncate" ? Effect.fail(failing(call, path, "EROFS")) : Effect.void
      yield* Effect.flip(log.commit(commitOf(name, 1, [`"refused"`])))
      const goOn = yield* Deferred.make<void>()
      disk.before = (call) => call === "size" ? Deferred.await(goOn) : Effect.void
      const looking = yield* Effect.forkChild(fork.read(0, 1_024), { startImmediately: true })
      yield* settled
      yield* Scope.close(asleep, Exit.void)
      disk.before = () => Effect.void
      yield* Deferred.succeed(goOn, undefined)
      assert.deepStrictEqual(textsOf(yield* Fiber.join(looking)), [shown(name, 0, "0")])
      assert.strictEqual((yield* storage.open(named(name))).tail, 1)
    }).pipe(Effect.scoped))

  it.effect("keeps the commits that only the journal has, even if the kernel dropped their pages", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const asleep = yield* Scope.make()
      const writing = yield* Writing.on(storage, names.slice(1))
      const first = commitOf("a", 0, [dataOf("a", 0)])
      writing.logs.set("a", yield* Scope.provide(storage.create(described("a"), first), asleep))
      writing.acknowledged.set("a", 1)
      yield* writing.commits(names, 1)
      yield* turns
      const before = disk.files[pathOf("a")]!.length
      yield* writing.commits(names, 1)
      const after = disk.files[pathOf("a")]!.length
      disk.before = (call, path) =>
        call === "flush" && path.startsWith(pathOf("a")) ? Effect.fail(failing(call, path, "EIO")) : Effect.void
      yield* Scope.close(asleep, Exit.void)
      disk.before = () => Effect.void
      const raw = yield* disk.open(pathOf("a"))
      yield* raw.write(Buffer.alloc(after - before), before)
      yield* raw.close
      const log = yield* storage.open(named("a"))
      assert.strictEqual(log.tail, writing.acknowledged.get("a"))
      assert.strictEqual((yield* readUpTo(log, log.tail)).length, log.tail)
      assert.strictEqual((yield* recovering(disk.crash("nothing", () => 0), "a"))?.tail, log.tail)
    }).pipe(Effect.scoped))
})

describe("Promise 2: a file that is flushed for the journal", () => {
  /** Fills the area in use until the journal turns to the other one; returns when it has turned. */
  const turning = Effect.fnUntraced(function*(
    writing: Writing,
    flushes: ReadonlyArray<string>,
    each: ReadonlyArray<string>,
    area: string
  ) {
    for (let round = 0; !flushes.includes(area); round++) {
      assert.isBelow(round, 100)
      yield* writing.commits(each, 1)
      yield* turns
    }
  })

  it.effect("too late does not count for commits that its log got in the area's next turn", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const writing = yield* journaling(yield* storageOn(disk, { journalBytesMax: 3_000 }))
      const flushes: Array<string> = []
      const late = Promise.withResolvers<void>()
      let held = false
      disk.before = (call, path) =>
        Effect.suspend(() => {
          if (call !== "flush") return Effect.void
          flushes.push(path)
          // This is the flush that settles, the first one of this file.
          if (held || path !== pathOf("a")) return Effect.void
          held = true
          return Effect.promise(() => late.promise)
        })
      yield* turning(writing, flushes, names, areas[1]!)
      assert.isTrue(held)
      // This commit comes by itself: the first area holds nothing of the log any more.
      yield* writing.commits(["a"], 1)
      flushes.length = 0
      yield* turning(writing, flushes, names.slice(1), areas[0]!)
      yield* writing.commits(["a", "b", "c"], 1)
      assert.strictEqual(flushes.at(-1), areas[0])
      late.resolve()
      yield* Effect.promise(() => late.promise)
      yield* turns
      flushes.length = 0
      yield* turning(writing, flushes, names.slice(1), areas[1]!)
      flushes.length = 0
      yield* turning(writing, flushes, names.slice(1), areas[0]!)
      const found = yield* recovering(disk.crash("nothing", () => 0), "a")
      assert.strictEqual(found?.tail, writing.acknowledged.get("a"))
    }).pipe(Effect.scoped))

  it.effect("gets an error of its own, and so does the flush of an append at the same time", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const writing = yield* journaling(yield* storageOn(tellingEach(disk), { journalBytesMax: 3_000 }))
      const flushes: Array<string> = []
      const appended = Promise.withResolvers<void>()
      let isSettling = false
      disk.before = (call, path) =>
        Effect.suspend(() => {
          if (call !== "flush") return Effect.void
          flushes.push(path)
          if (!path.startsWith(pathOf("a"))) return Effect.void
          // The append's flush returns after the settling flush, and the disk fails during that one.
          if (isSettling) return Effect.andThen(Effect.sync(() => appended.resolve()), turns)
          isSettling = true
          return Effect.map(Effect.promise(() => appended.promise), () => void (disk.flushesUntilFailure = 0))
        })
      yield* turning(writing, flushes, names, areas[1]!)
      assert.isTrue(isSettling)
      const [exit] = yield* writing.commits(["a"], 1)
      assert.isTrue(Exit.isFailure(exit!))
      disk.before = () => Effect.void
      yield* turns
      yield* TestClock.adjust("2 seconds")
      yield* writing.commits(names.slice(1), 1)
      yield* turns
      const found = yield* recovering(disk.crash("nothing", () => 0), "a")
      assert.strictEqual(found?.tail, writing.acknowledged.get("a"))
    }).pipe(Effect.scoped))
})

/** Reports a failed write of a file once to each of its descriptors, as Linux does (fsync(2)). */
const tellingEach = (disk: FaultDisk): Disk => {
  const errors = new Map<string, number>()
  const told = (path: string, file: DiskFile): DiskFile => {
    let seen = errors.get(path) ?? 0
    return {
      ...file,
      flush: Effect.flatMap(Effect.exit(file.flush), (exit) => {
        if (Exit.isFailure(exit)) errors.set(path, (errors.get(path) ?? 0) + 1)
        const isNews = (errors.get(path) ?? 0) > seen
        seen = errors.get(path) ?? 0
        return isNews ? Effect.fail(failing("flush", path, "EIO")) : Effect.void
      })
    }
  }
  const opening = (open: Disk["open"]): Disk["open"] => (path) =>
    Effect.map(open(path), (file) => told(path.replace(/\.new$/, ""), file))
  return { ...disk, open: opening(disk.open), create: opening(disk.create) }
}
