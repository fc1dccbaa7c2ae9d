/**
 * Disks that refuse: a flush fails, a disk is full, a file is taken away. The log shows no refused event, loses no
 * acknowledged event, and goes on (docs/storage-format.md 5).
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { StorageFailed, StorageFull, StreamNotFound } from "../../src/domain/errors.ts"
import { type Call, choosing, crashModes, failing, FaultDisk } from "../simulation/fault-disk.ts"
import {
  directory,
  name,
  path,
  pathOf,
  recovering,
  sixCommits,
  storageOn,
  textsOfAll
} from "../support/log-fixtures.ts"
import { commitOf, described, named, readUpTo, settled, shown, textsOf } from "../support/storage-fixtures.ts"

describe("Promise 2: a flush that fails", () => {
  it.effect.each([1, 2, 3, 4, 5])(
    "acknowledges nothing, shows nothing and loses nothing (flush %i)",
    (flushes) =>
      Effect.gen(function*() {
        const disk = new FaultDisk()
        const commits = sixCommits("not")
        disk.flushesUntilFailure = flushes
        const storage = yield* storageOn(disk)
        const log = yield* storage.create(described(name), commits[0]!)
        const kept = [commits[0]!]
        for (const commit of commits.slice(1)) {
          const tail = textsOfAll(kept).length
          const again = commitOf(
            name,
            tail,
            textsOf(commit.events).map((_, i) => `"commit ${kept.length}, event ${i}"`)
          )
          const result = yield* Effect.result(log.commit(again))
          if (result._tag === "Success") {
            kept.push(again)
          } else {
            assert.instanceOf(result.failure, StorageFailed)
            assert.deepStrictEqual(yield* readUpTo(log, tail), textsOfAll(kept))
            assert.notInclude(disk.files[path]!.toString(), textsOf(again.events)[0]!)
          }
          for (const mode of crashModes) {
            const found = yield* recovering(disk.crash(mode, choosing(flushes)))
            assert.deepStrictEqual(found?.texts, textsOfAll(kept))
          }
        }
        assert.strictEqual(kept.length, commits.length - 1)
      }).pipe(Effect.scoped)
  )

  it.effect("makes the log open its file anew, cut it, flush it and read it back before it writes again", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const log = yield* storage.create(described(name), commitOf(name, 0, ["1"]))
      disk.flushesUntilFailure = 0
      const calls: Array<Call> = []
      disk.before = (call) => Effect.sync(() => calls.push(call))
      yield* Effect.flip(log.commit(commitOf(name, 1, ["2"])))
      yield* log.commit(commitOf(name, 1, ["3"]))
      // The old descriptor is closed when its last user has left. The log asked a moment ago whether the file is there.
      assert.deepStrictEqual(calls.filter((call) => call !== "close"), [
        "links",
        "write",
        "flush",
        "open",
        "truncate",
        "flush",
        "size",
        "read",
        "write",
        "flush"
      ])
    }).pipe(Effect.scoped))

  it.effect("again and again makes the log refuse every commit until it can read its file back", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const log = yield* storage.create(described(name), commitOf(name, 0, ["1"]))
      disk.before = (call, path) => call === "flush" ? Effect.fail(failing(call, path, "EIO")) : Effect.void
      for (let attempt = 0; attempt < 3; attempt++) {
        assert.instanceOf(yield* Effect.flip(log.commit(commitOf(name, 1, ["2"]))), StorageFailed)
      }
      disk.before = (call, path) => call === "read" ? Effect.fail(failing(call, path, "EIO")) : Effect.void
      assert.instanceOf(yield* Effect.flip(log.commit(commitOf(name, 1, ["2"]))), StorageFailed)
      disk.before = () => Effect.void
      yield* log.commit(commitOf(name, 1, ["3"]))
      assert.deepStrictEqual(yield* readUpTo(log, 2), [shown(name, 0, "1"), shown(name, 1, "3")])
    }).pipe(Effect.scoped))

  it.effect("does not stop a reader who is reading at that time", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const log = yield* storage.create(described(name), commitOf(name, 0, ["1", "2"]))
      const begun = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      disk.before = (call) =>
        call === "read" ? Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(goOn)) : Effect.void
      const reader = yield* Effect.forkChild(log.read(1, 1024))
      yield* Deferred.await(begun)
      disk.before = () => Effect.void
      disk.flushesUntilFailure = 0
      yield* Effect.flip(log.commit(commitOf(name, 2, ["3"])))
      yield* settled
      yield* Deferred.succeed(goOn, undefined)
      assert.deepStrictEqual(textsOf(yield* Fiber.join(reader)), [shown(name, 1, "2")])
    }).pipe(Effect.scoped))
})

describe("A full disk", () => {
  it.effect.each(Array.from({ length: 40 }, (_, i) => i * 23))(
    "makes the log refuse with StorageFull, keep every acknowledged event, and take appends again when there is room (%i bytes left)",
    (space) =>
      Effect.gen(function*() {
        const disk = new FaultDisk()
        const storage = yield* storageOn(disk)
        const commits = sixCommits("not")
        const log = yield* storage.create(described(name), commits[0]!)
        disk.space = space
        let kept = 1
        let size = disk.files[path]!.length
        for (const commit of commits.slice(1)) {
          const result = yield* Effect.result(log.commit(commit))
          if (result._tag === "Failure") {
            assert.instanceOf(result.failure, StorageFull)
            assert.strictEqual(disk.files[path]!.length, size, "the file does not end with its last good commit")
            break
          }
          kept++
          size = disk.files[path]!.length
        }
        const texts = textsOfAll(commits.slice(0, kept))
        assert.deepStrictEqual(yield* readUpTo(log, texts.length), texts)
        disk.space = Infinity
        for (const commit of commits.slice(kept)) yield* log.commit(commit)
        const found = yield* recovering(disk.crash("nothing", () => 0))
        assert.deepStrictEqual(found?.texts, textsOfAll(commits))
      }).pipe(Effect.scoped)
  )

  it.effect("on which a torn write cannot be cut off either makes the log refuse commits until the cut succeeds", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const log = yield* storage.create(described(name), commitOf(name, 0, ["1"]))
      disk.space = 40
      disk.before = (call, path) => call === "truncate" ? Effect.fail(failing(call, path, "EIO")) : Effect.void
      assert.instanceOf(yield* Effect.flip(log.commit(commitOf(name, 1, ["2"]))), StorageFull)
      disk.space = Infinity
      assert.instanceOf(yield* Effect.flip(log.commit(commitOf(name, 1, ["2"]))), StorageFailed)
      disk.before = () => Effect.void
      yield* log.commit(commitOf(name, 1, ["3"]))
      assert.deepStrictEqual((yield* recovering(disk))?.texts, [shown(name, 0, "1"), shown(name, 1, "3")])
    }).pipe(Effect.scoped))

  it.effect.each([0, 20, 150])(
    "makes no stream and keeps no file of one (%i bytes left)",
    (space) =>
      Effect.gen(function*() {
        const disk = new FaultDisk()
        const storage = yield* storageOn(disk)
        disk.space = space
        const first = commitOf(name, 0, ["1"])
        assert.instanceOf(yield* Effect.flip(storage.create(described(name), first)), StorageFull)
        assert.deepStrictEqual(disk.files, {})
        assert.deepStrictEqual(yield* storage.list(), [])
        assert.strictEqual(disk.opened, 0)
        disk.space = Infinity
        yield* storage.create(described(name), first)
        assert.deepStrictEqual((yield* recovering(disk))?.texts, textsOf(first.events))
      }).pipe(Effect.scoped)
  )
})

describe("A stream that cannot be made", () => {
  it.effect.each(["create", "write", "flush", "rename", "flushDirectory"] as const)(
    "because %s fails does not exist, and can be made afterwards",
    (failed) =>
      Effect.gen(function*() {
        const disk = new FaultDisk()
        const storage = yield* storageOn(disk)
        const first = commitOf(name, 0, ["1"])
        disk.before = (call, path) => call === failed ? Effect.fail(failing(call, path, "EIO")) : Effect.void
        assert.instanceOf(yield* Effect.flip(storage.create(described(name), first)), StorageFailed)
        disk.before = () => Effect.void
        assert.deepStrictEqual(disk.files, {})
        assert.strictEqual(disk.opened, 0)
        assert.isUndefined(yield* recovering(disk))
        yield* storage.create(described(name), first)
        assert.deepStrictEqual((yield* recovering(disk))?.texts, textsOf(first.events))
      }).pipe(Effect.scoped)
  )
})

describe("A log whose file was removed by hand", () => {
  it.effect.each([["its file open", 512], ["its file closed for others' sake", 1]] as const)(
    "refuses its next commit, since the stream is not found, with %s",
    ([, openFilesMax]) =>
      Effect.gen(function*() {
        const disk = new FaultDisk()
        const storage = yield* storageOn(disk, { openFilesMax })
        const log = yield* storage.create(described(name), commitOf(name, 0, ["1"]))
        const another = yield* storage.create(described("another"), commitOf("another", 0, ["1"]))
        yield* another.read(0, 1)
        yield* disk.remove(path)
        assert.instanceOf(yield* Effect.flip(log.commit(commitOf(name, 1, ["2"]))), StreamNotFound)
      }).pipe(Effect.scoped)
  )
})

describe("A log whose file was removed by hand while the clock was set back", () => {
  it.effect("refuses its next commit, since the stream is not found", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      yield* TestClock.setTime(3_600_000)
      const log = yield* storage.create(described(name), commitOf(name, 0, ["1"]))
      yield* log.commit(commitOf(name, 1, ["2"]))
      yield* TestClock.setTime(0)
      yield* disk.remove(path)
      assert.instanceOf(yield* Effect.flip(log.commit(commitOf(name, 2, ["3"]))), StreamNotFound)
    }).pipe(Effect.scoped))
})

describe("Open files", () => {
  it.effect("are never more than the limit, and every stream has its turn", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk, { openFilesMax: 3 })
      const names = Array.from({ length: 10 }, (_, i) => `stream ${i}`)
      const logs = yield* Effect.forEach(names, (name) => storage.create(described(name), commitOf(name, 0, ["0"])))
      assert.isAtMost(disk.opened, 3, "after ten were made")
      for (const [i, log] of logs.entries()) {
        yield* log.commit(commitOf(names[i]!, 1, ["1"]))
        assert.isAtMost(disk.opened, 3)
      }
      for (const [i, log] of logs.entries()) {
        assert.deepStrictEqual(yield* readUpTo(log, 2), [shown(names[i]!, 0, "0"), shown(names[i]!, 1, "1")])
      }
      yield* Effect.forEach(names, (name) => storage.open(named(name)))
      assert.isAtMost(disk.opened, 3, "after ten were opened")
    }).pipe(Effect.scoped))

  it.effect("are closed when their streams sleep", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* Effect.scoped(Effect.gen(function*() {
        const storage = yield* storageOn(disk)
        const log = yield* storage.create(described(name), commitOf(name, 0, ["0"]))
        yield* log.read(0, 1)
        yield* storage.open(named(name))
      }))
      // Nothing waits for the close.
      yield* settled
      assert.strictEqual(disk.opened, 0)
    }))

  it.effect("that are not logs are left alone: the storage neither lists nor removes them", () =>
    Effect.gen(function*() {
      const files = Object.fromEntries(
        ["notes.txt", "notes.new", "UPPER.json", "a b.json", "%41.json.bak", "x~y.json", ".json"].map((
          file
        ) => [`${directory}/${file}`, Buffer.from("mine\n")])
      )
      const disk = FaultDisk.holding({ ...files, [`${pathOf("half made")}.new`]: Buffer.from("{") })
      const storage = yield* storageOn(disk)
      assert.deepStrictEqual(yield* storage.list(), [])
      assert.deepStrictEqual(disk.files, files)
    }).pipe(Effect.scoped))
})
