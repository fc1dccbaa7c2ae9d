/**
 * `verify --repair` cuts the same bytes as a start and no others, and keeps a copy of the file (docs/storage-format.md
 * 6).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { directory, name, other, path, pathOf, sixCommits, storageOn, twoLogs } from "../support/log-fixtures.ts"
import { commitOf, described, named } from "../support/storage-fixtures.ts"
import { fileName, verifying } from "./verify-fixtures.ts"

describe("verify --repair", () => {
  it.effect("copies the file and then cuts its torn end, and no start takes the copy for a log", () =>
    Effect.gen(function*() {
      const { bytes, ends, files } = yield* twoLogs(sixCommits("not"))
      const torn = bytes.subarray(0, bytes.length - 5)
      const disk = FaultDisk.holding({ ...files, [path]: torn })
      const { faults, verified } = yield* verifying(disk, { repair: true })
      const copy = `${fileName}.before-repair-1`
      assert.deepStrictEqual(faults[0]!.repaired, { copy, bytes: torn.length - ends.at(-2)!, failed: undefined })
      assert.include(verified, { faults: 1, repaired: 1 })
      const after = disk.crash("nothing", () => 0).files
      assert.isTrue(after[path]!.equals(bytes.subarray(0, ends.at(-2)!)), "what is on the medium")
      assert.isTrue(after[`${directory}/${copy}`]!.equals(torn), "the copy on the medium")
      assert.deepStrictEqual((yield* verifying(disk)).faults, [])
      const storage = yield* storageOn(disk)
      assert.deepStrictEqual(yield* storage.list(), [named(name), named(other)])
      assert.deepStrictEqual(disk.files, after, "a start changes neither")
    }).pipe(Effect.scoped))

  it.effect("gives every copy its own name, even if the log's name is as long as a name can be", () =>
    Effect.gen(function*() {
      const long = "x".repeat(246)
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      yield* storage.create(described(long), commitOf(long, 0, [`1`]))
      const whole = disk.files[pathOf(long)]!
      for (let turn = 0; turn < 2; turn++) {
        const torn = FaultDisk.holding({ ...disk.files, [pathOf(long)]: Buffer.concat([whole, Buffer.from("{")]) })
        const { faults } = yield* verifying(torn, { repair: true })
        assert.isBelow(faults[0]!.repaired!.copy!.length, 256)
        assert.isTrue(torn.files[pathOf(long)]!.equals(whole))
        const again = FaultDisk.holding({ ...torn.files, [pathOf(long)]: Buffer.concat([whole, Buffer.from("{")]) })
        const second = yield* verifying(again, { repair: true })
        assert.notStrictEqual(second.faults[0]!.repaired!.copy, faults[0]!.repaired!.copy)
        assert.deepStrictEqual(yield* (yield* storageOn(again)).list(), [named(long)])
      }
    }).pipe(Effect.scoped))

  it.effect("never cuts damage before the tail, and never cuts a log that was never made", () =>
    Effect.gen(function*() {
      const { bytes, ends, files } = yield* twoLogs(sixCommits("not"))
      bytes[ends[2]! - 40]! ^= 1
      for (const hurt of [bytes, Buffer.from("{"), Buffer.concat([Buffer.alloc(64), bytes])]) {
        const disk = FaultDisk.holding({ ...files, [path]: hurt })
        const { faults, verified } = yield* verifying(disk, { repair: true })
        assert.strictEqual(faults.length, 1)
        assert.include(verified, { faults: 1, repaired: 0 })
        assert.deepStrictEqual(disk.files, { ...files, [path]: hurt })
      }
      const disk = FaultDisk.holding({ ...files, [path]: Buffer.concat([bytes, Buffer.from("{")]) })
      const { faults, verified } = yield* verifying(disk, { repair: true })
      assert.strictEqual(faults[0]!.kind, "damaged")
      assert.include(verified, { faults: 1, repaired: 0 })
      assert.isTrue(disk.files[path]!.equals(bytes), "the torn end behind the damage is cut")
    }))

  it.effect("cuts nothing when there is no room for the copy", () =>
    Effect.gen(function*() {
      const { bytes, files } = yield* twoLogs(sixCommits("not"))
      const torn = { ...files, [path]: bytes.subarray(0, bytes.length - 5) }
      const disk = FaultDisk.holding(torn)
      disk.space = 100
      const { faults, verified } = yield* verifying(disk, { repair: true })
      assert.strictEqual(faults[0]!.repaired!.failed, "write failed with ENOSPC")
      assert.include(verified, { faults: 1, repaired: 0 })
      assert.deepStrictEqual(disk.files, torn)
    }))
})
