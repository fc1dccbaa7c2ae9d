/**
 * Crashes: whatever a disk kept of unflushed bytes, the log that is opened next is a sequence of whole commits, and
 * every acknowledged commit is among them (docs/storage-format.md 5 and 6).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Commit } from "../../src/storage/storage.ts"
import { choosing, type CrashMode, crashModes, FaultDisk } from "../simulation/fault-disk.ts"
import {
  appendingOne,
  directory,
  name,
  path,
  recovering,
  sixCommits,
  storageOn,
  textsOfAll,
  writing
} from "../support/log-fixtures.ts"
import { tried } from "../support/properties.ts"
import { commitOf, described, textsOf } from "../support/storage-fixtures.ts"

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))

/** The bytes of a log, and the position where each of its commits ends. */
const written = Effect.fnUntraced(function*(commits: ReadonlyArray<Commit>) {
  const disk = new FaultDisk()
  const ends: Array<number> = []
  yield* writing(disk, commits, () => ends.push(disk.files[path]!.length))
  return { bytes: disk.files[path]!, ends }
})

describe("Promise 3: a log that is cut at any byte holds the whole commits before the cut", () => {
  const cases: ReadonlyArray<readonly [behind: string, closing: "with an event" | "alone", zeros: boolean]> = [
    ["with nothing behind it", "with an event", false],
    ["with nothing behind it, closed alone", "alone", false],
    ["with zeros behind it", "with an event", true],
    ["with zeros behind it, closed alone", "alone", true]
  ]
  it.effect.each(cases)("%s", ([, closing, zeros]) =>
    Effect.gen(function*() {
      const commits = sixCommits(closing)
      const { bytes, ends } = yield* written(commits)
      const headerEnd = bytes.indexOf("\n") + 1
      for (let cut = 0; cut <= bytes.length; cut++) {
        const kept = Buffer.concat([bytes.subarray(0, cut)], zeros ? bytes.length : cut)
        const disk = FaultDisk.holding({ [path]: kept })
        const whole = ends.filter((end) => end <= cut).length
        const found = yield* recovering(disk)
        if (cut < headerEnd) {
          assert.isUndefined(found, `cut at ${cut}`)
          continue
        }
        const texts = textsOfAll(commits.slice(0, whole))
        const state = commits[whole - 1]?.state ?? []
        assert.deepStrictEqual(found, { texts, tail: texts.length, state }, `cut at ${cut}`)
        // The torn part is gone from the file, not only from the answer.
        assert.strictEqual(disk.files[path]!.length, whole === 0 ? headerEnd : ends[whole - 1], `cut at ${cut}`)
        if (state.length > 0) continue
        const more = yield* appendingOne(disk, `"after the crash"`)
        const survivor = disk.crash("nothing", () => 0)
        assert.deepStrictEqual((yield* recovering(survivor))?.texts, [...texts, ...more], `cut at ${cut}`)
      }
    }))
})

interface Crash {
  readonly mode: CrashMode
  readonly acknowledged: number
  readonly disk: FaultDisk
}

/** Every disk that a crash before, during or after a call of this run can leave. */
const crashesOf = Effect.fnUntraced(function*(commits: ReadonlyArray<Commit>, seed: number, modes = crashModes) {
  const choose = choosing(seed)
  const disk = new FaultDisk()
  const crashes: Array<Crash> = []
  let acknowledged = 0
  const note = () => {
    for (const mode of modes) crashes.push({ mode, acknowledged, disk: disk.crash(mode, choose) })
  }
  disk.before = () => Effect.sync(note)
  yield* writing(disk, commits, (count) => {
    acknowledged = count
    note()
  })
  return crashes
})

/** Fails unless the log is whole commits, the acknowledged ones first; returns how many. */
const wholeCommits = Effect.fnUntraced(
  function*(disk: FaultDisk, commits: ReadonlyArray<Commit>, acknowledged: number) {
    const found = yield* recovering(disk)
    if (found === undefined) {
      assert.strictEqual(acknowledged, 0, "an acknowledged stream is gone")
      return undefined
    }
    const count = commits.findIndex((_, i) => textsOfAll(commits.slice(0, i + 1)).length === found.tail) + 1
    assert.isAtLeast(count, Math.max(acknowledged, 1), "an acknowledged commit is gone")
    assert.deepStrictEqual(found.texts, textsOfAll(commits.slice(0, count)))
    assert.deepStrictEqual(found.state, commits[count - 1]!.state)
    return found.texts
  }
)

describe("Promises 2 and 3: a power cut at any call", () => {
  it.effect.prop(
    "leaves whole commits, every acknowledged one among them, and a log that takes appends",
    [Seed],
    ([seed]) =>
      Effect.gen(function*() {
        const commits = sixCommits("not")
        for (const crash of yield* crashesOf(commits, seed)) {
          const texts = yield* wholeCommits(crash.disk, commits, crash.acknowledged)
          if (texts === undefined) continue
          const more = yield* appendingOne(crash.disk, `{"after":"the crash"}`)
          // A second crash: the repaired end is as durable as the commits before it.
          for (const mode of crashModes) {
            const again = yield* recovering(crash.disk.crash(mode, choosing(seed)))
            assert.deepStrictEqual(again?.texts, [...texts, ...more])
          }
        }
      }),
    tried(20)
  )

  it.effect.prop(
    "during recovery leaves the same log as a recovery without it",
    [Seed],
    ([seed]) =>
      Effect.gen(function*() {
        const commits = sixCommits("not")
        const choose = choosing(seed)
        for (const first of yield* crashesOf(commits, seed, ["prefix", "sectors"])) {
          const seconds: Array<FaultDisk> = []
          first.disk.before = () => Effect.sync(() => seconds.push(first.disk.crash("sectors", choose)))
          yield* recovering(first.disk)
          for (const second of seconds) yield* wholeCommits(second, commits, first.acknowledged)
        }
      }),
    tried(10)
  )

  it.effect.prop(
    "while a stream is made leaves the stream with its first events, or no stream, and it can be made again",
    [Seed],
    ([seed]) =>
      Effect.gen(function*() {
        const commit = commitOf(name, 0, [`1`, `"${"long ".repeat(200)}"`, `3`])
        for (const { acknowledged, disk } of yield* crashesOf([commit], seed)) {
          const storage = yield* storageOn(disk)
          const files = yield* disk.list(directory)
          assert.isFalse(files.some((file) => file.endsWith(".new")), "a log half made is left")
          const names = yield* storage.list()
          if (names.length === 0) {
            assert.strictEqual(acknowledged, 0)
            yield* storage.create(described(name), commit)
          }
          assert.deepStrictEqual((yield* recovering(disk))?.texts, textsOf(commit.events))
        }
      }).pipe(Effect.scoped),
    tried(20)
  )

  it.effect.prop(
    "while a stream is deleted leaves all of it or none of it, and none after the deletion was answered",
    [Seed],
    ([seed]) =>
      Effect.gen(function*() {
        const choose = choosing(seed)
        const commits = sixCommits()
        const disk = new FaultDisk()
        yield* writing(disk, commits)
        const crashes: Array<FaultDisk> = []
        disk.before = () => Effect.sync(() => crashModes.forEach((mode) => crashes.push(disk.crash(mode, choose))))
        const storage = yield* storageOn(disk)
        yield* storage.delete(described(name).name)
        for (const crash of crashes) {
          const found = yield* recovering(crash)
          if (found !== undefined) assert.deepStrictEqual(found.texts, textsOfAll(commits))
        }
        for (const mode of crashModes) assert.isUndefined(yield* recovering(disk.crash(mode, choose)))
      }).pipe(Effect.scoped),
    tried(20)
  )
})
