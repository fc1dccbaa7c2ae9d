/**
 * The storage knows the names of the logs, even if other programs change the directory (docs/storage-format.md 2).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { failing, FaultDisk } from "../simulation/fault-disk.ts"
import { pathOf, storageOn } from "../support/log-fixtures.ts"
import { commitOf, described, named, readUpTo, shown } from "../support/storage-fixtures.ts"
import { CountingDisk } from "./counting-disk.ts"

/** A disk that holds these streams. */
const holding = (...names: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const disk = new FaultDisk()
    const storage = yield* storageOn(disk)
    for (const name of names) yield* storage.create(described(name), commitOf(name, 0, ["1"]))
    return disk
  }).pipe(Effect.scoped)

const long = "x".repeat(400)

describe("The list of logs", () => {
  it.effect("shows at once a file that another program adds or removes", () =>
    Effect.gen(function*() {
      const disk = yield* holding("a", "b")
      const storage = yield* storageOn(disk)
      assert.deepStrictEqual(yield* storage.list(), ["a", "b"].map(named))
      yield* Effect.flatMap(disk.create(pathOf("c")), (file) => file.close)
      yield* disk.remove(pathOf("a"))
      assert.deepStrictEqual(yield* storage.list(), ["b", "c"].map(named))
    }).pipe(Effect.scoped))

  it.effect("shows it a second later if the server makes streams meanwhile, and shows those at once", () =>
    Effect.gen(function*() {
      const disk = yield* holding("a", "b")
      const storage = yield* storageOn(disk)
      yield* storage.create(described("c"), commitOf("c", 0, ["1"]))
      yield* storage.delete(named("b"))
      yield* disk.remove(pathOf("a"))
      assert.deepStrictEqual(yield* storage.list(), ["a", "c"].map(named))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* storage.list(), ["c"].map(named))
    }).pipe(Effect.scoped))

  it.effect("is read once for all callers at the same time, and has the streams that are made during that read", () =>
    Effect.gen(function*() {
      const fault = yield* holding("a", "b")
      const disk = new CountingDisk(fault)
      const storage = yield* storageOn(disk)
      yield* fault.remove(pathOf("a"))
      disk.reset()
      let isMade = false
      fault.before = (call) =>
        Effect.suspend(() => {
          if (call !== "list" || isMade) return Effect.void
          isMade = true
          return Effect.orDie(Effect.scoped(Effect.asVoid(storage.create(described("c"), commitOf("c", 0, ["1"])))))
        })
      const lists = yield* Effect.forEach(Array.from({ length: 20 }), () => storage.list(), {
        concurrency: "unbounded"
      })
      for (const list of lists) assert.deepStrictEqual(list, ["b", "c"].map(named))
      assert.strictEqual(disk.calls["list"], 1)
    }).pipe(Effect.scoped))

  it.effect("is read from the directory again when a log may be there or not", () =>
    Effect.gen(function*() {
      const disk = yield* holding("a")
      const storage = yield* storageOn(disk)
      let flushes = 0
      // Neither the creation is certain, nor that it was taken back.
      disk.before = (call, path) =>
        call === "flushDirectory" && flushes++ < 2 ? Effect.fail(failing(call, path, "EIO")) : Effect.void
      assert.strictEqual(
        (yield* Effect.flip(storage.create(described("b"), commitOf("b", 0, ["1"]))))._tag,
        "StorageFailed"
      )
      assert.deepStrictEqual(yield* storage.list(), Object.keys(disk.files).map((path) => named(path.slice(9, -5))))
    }).pipe(Effect.scoped))

  it.effect("forgets a long name with its log, and does not give it to another file in its place", () =>
    Effect.gen(function*() {
      const disk = yield* holding("a", long)
      const storage = yield* storageOn(disk)
      assert.deepStrictEqual(yield* storage.list(), ["a", long].map(named))
      yield* storage.delete(named(long))
      yield* Effect.flatMap(disk.create(pathOf(long)), (file) => file.close)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* storage.list(), ["a"].map(named))
    }).pipe(Effect.scoped))
})

describe("Promise 10: a log with a long name that cannot be read", () => {
  it.effect.each(["EIO", "EACCES", "EISDIR"])(
    "does not keep the others from use, and is reported once (%s)",
    (code) =>
      Effect.gen(function*() {
        const disk = yield* holding("a", long)
        let isHurt = true
        disk.before = (call, path) =>
          isHurt && call === "open" && path === pathOf(long) ? Effect.fail(failing(call, path, code)) : Effect.void
        const lines: Array<unknown> = []
        yield* Effect.gen(function*() {
          const storage = yield* storageOn(disk)
          assert.deepStrictEqual((yield* storage.atStart).listed, ["a"].map(named))
          yield* storage.create(described("b"), commitOf("b", 0, ["1"]))
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(yield* storage.list(), ["a", "b"].map(named))
          assert.deepStrictEqual(yield* readUpTo(yield* storage.open(named("a")), 1), [shown("a", 0, "1")])
          assert.strictEqual(lines.length, 1)
          assert.include(String(lines[0]), "left out of all lists")
          // The log is found again as soon as its file can be read, though nothing in the directory has changed.
          isHurt = false
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(yield* storage.list(), ["a", "b", long].map(named))
        }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => lines.push(message))])))
      }).pipe(Effect.scoped)
  )
})
