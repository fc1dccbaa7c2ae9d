/**
 * A disk without any room: logs on it are still opened, read, listed and deleted, and a deletion makes room (promise
 * 11).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { choosing, failing, FaultDisk } from "../simulation/fault-disk.ts"
import { name, path, storageOn } from "../support/log-fixtures.ts"
import { commitOf, described, named, readUpTo, shown } from "../support/storage-fixtures.ts"

/** The disk takes no write, not even one that adds few bytes. */
const fill = (disk: FaultDisk) => {
  disk.before = (call, path) =>
    call === "write" || call === "create" ? Effect.fail(failing(call, path, "ENOSPC")) : Effect.void
}

const texts = [shown(name, 0, "1"), shown(name, 1, "2")]

describe("Promise 11: on a full disk", () => {
  it.effect.each(["with its server", "in the middle of a write"])(
    "a log whose last run ended %s can be read, listed and deleted, and that makes room",
    (ending) =>
      Effect.gen(function*() {
        const first = new FaultDisk()
        yield* Effect.gen(function*() {
          const storage = yield* storageOn(first)
          const log = yield* storage.create(described(name), commitOf(name, 0, ["1"]))
          yield* log.commit(commitOf(name, 1, ["2"]))
          yield* storage.create(described("other"), commitOf("other", 0, ["1"]))
        }).pipe(Effect.scoped)
        if (ending !== "with its server") {
          const file = yield* first.open(path)
          yield* file.write(Buffer.from(`{"offset":"000000`), yield* file.size)
          yield* file.close
        }
        const disk = first.crash("everything", choosing(1))
        fill(disk)
        const storage = yield* storageOn(disk)
        const log = yield* storage.open(named(name))
        assert.deepStrictEqual(yield* readUpTo(log, log.tail), texts)
        assert.deepStrictEqual(yield* storage.list(), [name, "other"].map(named))
        assert.strictEqual((yield* Effect.flip(log.commit(commitOf(name, 2, ["3"]))))._tag, "StorageFull")
        yield* storage.delete(named("other"))
        yield* storage.hide(named(name))
        assert.deepStrictEqual(yield* storage.list(), [])
        yield* storage.delete(named(name))
        assert.deepStrictEqual(Object.keys(disk.files), [])
      }).pipe(Effect.scoped)
  )

  it.effect("a commit that was not known to be flushed is written again as soon as there is room", () =>
    Effect.gen(function*() {
      const first = new FaultDisk()
      yield* Effect.gen(function*() {
        const log = yield* (yield* storageOn(first)).create(described(name), commitOf(name, 0, ["1"]))
        yield* log.commit(commitOf(name, 1, ["2"]))
      }).pipe(Effect.scoped)
      fill(first)
      const storage = yield* storageOn(first)
      yield* Effect.scoped(storage.open(named(name)))
      let written = 0
      first.before = (call) => Effect.sync(() => void (written += call === "write" ? 1 : 0))
      yield* Effect.scoped(storage.open(named(name)))
      assert.strictEqual(written, 1)
      yield* Effect.scoped(storage.open(named(name)))
      assert.strictEqual(written, 1)
    }).pipe(Effect.scoped))
})
