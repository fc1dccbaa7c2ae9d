/**
 * A stream's state in its log (docs/storage-format.md 4 and 6): a bounded piece of the log holds it, and it is never
 * guessed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import type { Disk } from "../../src/storage-filesystem/disk/disk.ts"
import { nodeDisk } from "../../src/storage-filesystem/disk/disk.ts"
import type { Log } from "../../src/storage/storage.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { name, path, storageOn } from "../support/log-fixtures.ts"
import { commitOf, described, named, readUpTo, stateOf } from "../support/storage-fixtures.ts"
import { CountingDisk } from "./counting-disk.ts"

/** Commits of one event each, from this many producers in turn. */
const fromProducers = Effect.fnUntraced(function*(log: Log, producers: number, commits: number) {
  for (let i = log.tail; i < commits; i++) {
    yield* log.commit(commitOf(name, i, [`${i}`], `{"producer:${i % producers}":[0,${Math.floor(i / producers)}]}`))
  }
})

const made = Effect.fnUntraced(function*(disk: Disk, producers: number, commits: number, options = {}) {
  const storage = yield* storageOn(disk, options)
  yield* fromProducers(yield* storage.create(described(name), commitOf(name, 0, [])), producers, commits)
}, Effect.scoped)

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

describe("Promise 7: the state of a log", () => {
  const cases: ReadonlyArray<readonly [title: string, producers: number, commits: number]> = [
    ["however many commits changed it", 10, 20_000],
    ["even if it is large itself", 3_000, 20_000]
  ]
  it.effect.each(cases)(
    "takes a bounded piece of the log, and of each opening, %s",
    ([, producers, commits]) =>
      Effect.gen(function*() {
        const directory = yield* temporary
        const disk = new CountingDisk(nodeDisk)
        const options = { directory, durability: "os" as const }
        yield* made(disk, producers, commits, options)
        disk.reset()
        const storage = yield* storageOn(disk, options)
        const log = yield* storage.open(named(name))
        assert.strictEqual(log.tail, commits)
        const expected = Array.from({ length: producers }, (_, i) => [
          `producer:${i}`,
          `[0,${Math.ceil((commits - i) / producers) - 1}]`
        ])
        assert.deepStrictEqual([...log.state].toSorted(), expected.toSorted())
        const stateBytes = stateOf(log).length
        // The log's end, the commits since the last whole state, those commits again, and the first line.
        assert.isAtMost(disk.bytesRead, 64 * 1024 + Math.max(256 * 1024, 8 * stateBytes) + stateBytes + 8 * 1024)
        const file = fs.readFileSync(Path.join(directory, Path.basename(path)), "latin1")
        const whole = file.split("\n").filter((line) => line.length > stateBytes)
        assert.isBelow(whole.length * stateBytes, file.length / 6)
      }).pipe(Effect.scoped)
  )
})

it.effect("Promise 11: an append is refused if its state is larger than a commit can hold, and nothing of it is kept", () =>
  Effect.gen(function*() {
    const disk = new FaultDisk()
    yield* made(disk, 1, 1)
    const before = Buffer.from(disk.files[path]!)
    const storage = yield* storageOn(disk)
    const log = yield* storage.open(named(name))
    const huge = `{"producer:${"p".repeat(100_000_000)}":[0,0]}`
    const refused = yield* Effect.flip(log.commit(commitOf(name, 1, ["1"], huge)))
    assert.strictEqual(refused._tag, "StorageFailed")
    assert.include(refused.message, "99999999 bytes")
    assert.isTrue(before.equals(disk.files[path]!))
    yield* log.commit(commitOf(name, 1, ["1"], `{"producer:p":[0,0]}`))
    const again = yield* storage.open(named(name))
    assert.deepStrictEqual([again.tail, stateOf(again)], [2, `{"producer:0":[0,0],"producer:p":[0,0]}`])
  }).pipe(Effect.scoped))

describe("Promise 10: a state whose commits are damaged", () => {
  it.effect("is not guessed: the log can be read where it is whole, and takes no append", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* made(disk, 3, 40)
      const bytes = disk.files[path]!
      // One digit of a producer's number is changed: only the checksum shows it.
      const at = bytes.indexOf(`"producer:1":[0,5]`) + `"producer:1":[0,`.length
      bytes[at] = bytes[at]! ^ 1
      const damaged = FaultDisk.holding({ [path]: bytes })
      const storage = yield* storageOn(damaged)
      const log = yield* storage.open(named(name))
      assert.strictEqual(log.tail, 40)
      assert.strictEqual((yield* readUpTo(log, 16)).length, 16)
      assert.strictEqual((yield* Effect.flip(log.read(16, 1)))._tag, "LogDamaged")
      const refused = yield* Effect.flip(log.commit(commitOf(name, 40, ["40"])))
      assert.strictEqual(refused._tag, "StorageFailed")
      assert.deepStrictEqual(damaged.files[path], bytes)
    }).pipe(Effect.scoped))

  it.effect("that lie before the newest whole state is not harmed by them", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* made(disk, 3, 20)
      const storage = yield* storageOn(disk)
      yield* Effect.scoped(Effect.gen(function*() {
        const log = yield* storage.open(named(name))
        // More than is read for the state, so all of the state is written anew.
        for (let i = 0; i < 3; i++) {
          yield* log.commit(commitOf(name, 20 + i, [`"${"x".repeat(200_000)}"`]))
        }
        yield* log.commit(commitOf(name, 23, ["23"], `{"producer:0":[9,9]}`))
      }))
      const bytes = disk.files[path]!
      const at = bytes.indexOf(`"producer:1":[0,5]`) + `"producer:1":[0,`.length
      bytes[at] = bytes[at]! ^ 1
      const log = yield* Effect.flatMap(storageOn(FaultDisk.holding({ [path]: bytes })), (storage) =>
        storage.open(named(name)))
      assert.strictEqual(stateOf(log), `{"producer:0":[9,9],"producer:1":[0,6],"producer:2":[0,5]}`)
      yield* log.commit(commitOf(name, 24, ["24"]))
    }).pipe(Effect.scoped))
})
