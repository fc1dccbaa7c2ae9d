/**
 * `/health` reports trouble with the disk truthfully, soon, and at little cost.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { failing, FaultDisk } from "../simulation/fault-disk.ts"
import { pathOf, storageOn } from "../support/log-fixtures.ts"
import { commitOf, described, settled } from "../support/storage-fixtures.ts"

const reasonOf = (trouble: Effect.Effect<{ readonly message: string } | undefined>) =>
  Effect.map(trouble, (error) => error?.message)

describe("Trouble with the disk", () => {
  for (
    const [code, reason] of [["ENOENT", "not there any more"], ["EROFS", "read-only"], ["EMFILE", "ulimit"]] as const
  ) {
    it.effect(`is reported though no client stores anything, and no longer when it is over (${code})`, () =>
      Effect.gen(function*() {
        const disk = new FaultDisk()
        const { trouble } = yield* storageOn(disk)
        assert.isUndefined(yield* reasonOf(trouble))
        disk.before = (call, path) => call === "create" ? Effect.fail(failing("open", path, code)) : Effect.void
        yield* TestClock.adjust("1 second")
        const told = yield* reasonOf(trouble)
        assert.match(told!, /^Could not store anything: /)
        assert.include(told, reason)
        assert.include(told, code)
        disk.before = () => Effect.void
        yield* TestClock.adjust("1 second")
        assert.isUndefined(yield* reasonOf(trouble))
      }))
  }

  it.effect("of a full disk is reported at once after an append has failed, and ends without an append when there is room", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const log = yield* storage.create(described("a"), commitOf("a", 0, ["0"]))
      assert.isUndefined(yield* reasonOf(storage.trouble))
      disk.space = 0
      assert.strictEqual((yield* Effect.flip(log.commit(commitOf("a", 1, ["1"]))))._tag, "StorageFull")
      assert.match((yield* reasonOf(storage.trouble))!, /no space is left .* free some space and try again\.$/)
      disk.space = 1_000_000
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* reasonOf(storage.trouble))
    }))

  it.effect("is reported when one flush has failed and no flush succeeds any more", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const log = yield* storage.create(described("a"), commitOf("a", 0, ["0"]))
      disk.before = (call, path) => call === "flush" ? Effect.fail(failing("fdatasync", path, "EIO")) : Effect.void
      yield* Effect.flip(log.commit(commitOf("a", 1, ["1"])))
      assert.include(yield* reasonOf(storage.trouble), "EIO")
      disk.before = () => Effect.void
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* reasonOf(storage.trouble))
    }))

  it.effect("is not reported if only one log has it", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      const log = yield* storage.create(described("a"), commitOf("a", 0, ["0"]))
      disk.before = (call, path) =>
        call === "write" && path.startsWith(pathOf("a")) ? Effect.fail(failing("write", path, "EIO")) : Effect.void
      yield* Effect.flip(log.commit(commitOf("a", 1, ["1"])))
      assert.isUndefined(yield* reasonOf(storage.trouble))
    }))

  it.effect("is looked for once a second at most, by a probe that leaves nothing behind", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const { trouble } = yield* storageOn(disk)
      const before = Object.keys(disk.files)
      let made = 0
      disk.before = (call) => Effect.sync(() => void (made += call === "create" ? 1 : 0))
      yield* Effect.all(Array.from({ length: 50 }, () => trouble), { concurrency: 10, discard: true })
      assert.strictEqual(made, 1)
      assert.deepStrictEqual(Object.keys(disk.files), before)
    }))

  it.effect("that answers no call is reported after ten seconds, and no request waits for it", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const { trouble } = yield* storageOn(disk)
      const answered = yield* Deferred.make<void>()
      disk.before = (call) => call === "write" ? Deferred.await(answered) : Effect.void
      const asked = Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(reasonOf(trouble), { startImmediately: true })
        yield* settled
        yield* TestClock.adjust("1 second")
        return yield* Fiber.join(fiber)
      })
      assert.isUndefined(yield* asked)
      yield* TestClock.adjust("10 seconds")
      assert.include(yield* asked, "has not answered")
      yield* Deferred.succeed(answered, undefined)
      yield* settled
      assert.isUndefined(yield* asked)
    }))
})
