/**
 * The first line of a log, however long it is (docs/storage-format.md 3).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { StreamDescription } from "../../src/storage/storage.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { pathOf, storageOn } from "../support/log-fixtures.ts"
import { commitOf, described, named, readUpTo, textsOf } from "../support/storage-fixtures.ts"

/** This name is so long that the name of its file is a hash, and only the first line gives the name. */
const name = "\"".repeat(512)

const making = Effect.fnUntraced(function*(disk: FaultDisk, description: StreamDescription) {
  const storage = yield* storageOn(disk)
  yield* storage.create(description, commitOf(name, 0, ["1"]))
}, Effect.scoped)

describe("Promise 2: a log can be opened again, however long its first line is", () => {
  // The last length is the most that a request's 16 KB of headers can hold, if JSON writes each character as two.
  it.effect.each([4_000, 5_000, 32_000])("with %d bytes of content type", (bytes) =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const contentType = `text/plain; x=${"y".repeat(bytes)}`
      yield* making(disk, { ...described(name), contentType })
      const storage = yield* storageOn(disk)
      assert.deepStrictEqual(yield* storage.list(), [named(name)])
      assert.strictEqual((yield* storage.describe(named(name))).contentType, contentType)
      const log = yield* storage.open(named(name))
      assert.strictEqual(log.description.contentType, contentType)
      assert.deepStrictEqual(yield* readUpTo(log, log.tail), textsOf(commitOf(name, 0, ["1"])))
    }).pipe(Effect.scoped))

  it.effect("a first line whose end no opening would find is not written", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const contentType = `text/plain; x=${"y".repeat(64 * 1024)}`
      const refused = yield* Effect.flip(making(disk, { ...described(name), contentType }))
      assert.strictEqual(refused._tag, "StorageFailed")
      assert.include(refused.message, "65536 bytes")
      assert.deepStrictEqual(Object.keys(disk.files), [])
    }))

  it.effect("Promise 10: a file that is one line without an end is damaged, and the storage does not change it", () =>
    Effect.gen(function*() {
      const bytes = Buffer.alloc(1024 * 1024, "{")
      const disk = FaultDisk.holding({ [pathOf("a")]: bytes })
      const storage = yield* storageOn(disk)
      assert.strictEqual((yield* Effect.flip(storage.describe(named("a"))))._tag, "LogDamaged")
      assert.isTrue(bytes.equals(disk.files[pathOf("a")]!))
    }).pipe(Effect.scoped))
})
