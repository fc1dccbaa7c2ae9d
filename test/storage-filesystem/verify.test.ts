/**
 * The findings of `verify`: every damage that readers are kept from, every end that a start would cut, and nothing in a
 * sound log (docs/storage-format.md 6).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { toOffset } from "../../src/domain/types.ts"
import { emptyBlock } from "../../src/event/event-block.ts"
import { encodeCommit, encodeNewLog } from "../../src/storage-filesystem/format/record-codec.ts"
import type { Commit } from "../../src/storage/storage.ts"
import { choosing, crashModes, FaultDisk } from "../simulation/fault-disk.ts"
import {
  directory,
  name,
  other,
  path,
  pathOf,
  recovering,
  sixCommits,
  storageOn,
  textsOfAll,
  twoLogs,
  writing
} from "../support/log-fixtures.ts"
import { commitOf, described, named } from "../support/storage-fixtures.ts"
import { faultIn, verifying } from "./verify-fixtures.ts"
/** Fails unless the first fault is the commit with this number (-1: the header), which begins at `starts[hurt]`. */
const checkDamage = Effect.fnUntraced(function*(
  files: Readonly<Record<string, Uint8Array>>,
  commits: ReadonlyArray<Commit>,
  starts: ReadonlyArray<number>,
  hurt: number,
  where: string
) {
  const fault = yield* faultIn(files, where)
  assert.strictEqual(fault.kind, "damaged", where)
  assert.strictEqual(fault.offset, textsOfAll(commits.slice(0, Math.max(hurt, 0))).length, `${where}: sound up to`)
  assert.strictEqual(fault.position, hurt < 0 ? 0 : starts[hurt], where)
  assert.isUndefined(fault.repaired, where)
})

/** The length of a commit that closes a stream and does nothing else. */
const stateBytes =
  `{"commit":{"state":{"closed":true},"back":"0000000000000000","size":"00000098","crc":"2947c12a"}}\n`.length

const hurtBy = (starts: ReadonlyArray<number>, at: number): number => starts.findLastIndex((start) => start <= at)

describe("Promise 10: verify", () => {
  it.effect("finds nothing in sound logs, whatever they hold", () =>
    Effect.gen(function*() {
      for (const closing of ["with an event", "alone", "not"] as const) {
        const { files } = yield* twoLogs(sixCommits(closing))
        const disk = FaultDisk.holding({
          ...files,
          [`${path}.ttl`]: Buffer.alloc(0),
          [`${directory}/notes.txt`]: Buffer.from("x")
        })
        const { faults, verified } = yield* verifying(disk)
        assert.deepStrictEqual(faults, [])
        const events = textsOfAll(sixCommits(closing)).length + 2
        const bytes = files[path]!.length + files[pathOf(other)]!.length
        assert.deepStrictEqual(verified, { logs: 2, events, bytes, faults: 0, repaired: 0, restorable: 0, growing: 0 })
      }
    }))

  const closings = [["with an event", 3], ["alone", 7], ["not", 7]] as const
  it.effect.each(closings)(
    "finds one flipped bit in any byte before the last commit (the stream is closed: %s)",
    ([closing, step]) =>
      Effect.gen(function*() {
        const commits = sixCommits(closing)
        const { bytes, ends, files } = yield* twoLogs(commits)
        const starts = [bytes.indexOf("\n") + 1, ...ends]
        for (let at = 0; at < ends.at(-2)!; at += step) {
          const flipped = Buffer.from(bytes)
          flipped[at]! ^= 1 << at % 8
          yield* checkDamage({ ...files, [path]: flipped }, commits, starts, hurtBy(starts, at), `byte ${at}`)
        }
      })
  )

  const hurting: ReadonlyArray<readonly [what: string, (bytes: Buffer, at: number) => void]> = [
    ["zeros", (bytes, at) => bytes.fill(0, at, at + 16)],
    ["line feeds", (bytes, at) => bytes.fill(0x0a, at, at + 3)],
    ["swapped ones", (bytes, at) => bytes.subarray(at, at + 16).swap64()]
  ]
  it.effect.each(hurting)("finds bytes that became %s", ([what, hurt]) =>
    Effect.gen(function*() {
      const commits = sixCommits()
      const { bytes, ends, files } = yield* twoLogs(commits)
      const starts = [bytes.indexOf("\n") + 1, ...ends]
      for (let at = 0; at + 16 <= ends.at(-3)!; at += 5) {
        const changed = Buffer.from(bytes)
        hurt(changed, at)
        if (changed.equals(bytes)) continue
        const first = hurtBy(starts, changed.findIndex((byte, i) => byte !== bytes[i]))
        yield* checkDamage({ ...files, [path]: changed }, commits, starts, first, `${what}, from byte ${at}`)
      }
    }))

  const rearranged: ReadonlyArray<readonly [what: string, order: ReadonlyArray<number>, hurt: number]> = [
    ["left out", [0, 1, 3, 4, 5], 2],
    ["repeated", [0, 1, 2, 2, 3, 4, 5], 3],
    ["swapped", [0, 2, 1, 3, 4, 5], 1]
  ]
  it.effect.each(rearranged)("finds whole commits that were %s", ([what, order, hurt]) =>
    Effect.gen(function*() {
      const commits = sixCommits()
      const { bytes, ends, files } = yield* twoLogs(commits)
      const starts = [bytes.indexOf("\n") + 1, ...ends]
      const parts = order.map((i) => bytes.subarray(starts[i], ends[i]))
      const changed = Buffer.concat([bytes.subarray(0, starts[0]), ...parts])
      yield* checkDamage({ ...files, [path]: changed }, commits, starts, hurt, what)
    }))

  it.effect("finds the log of another stream under a name that is not its own", () =>
    Effect.gen(function*() {
      const { files } = yield* twoLogs(sixCommits())
      const fault = yield* faultIn({ ...files, [path]: files[pathOf(other)]! }, "another's log")
      assert.include(fault, { kind: "damaged", position: 0, offset: 0 })
      assert.include(fault.problem, other)
    }))

  it.effect("finds skipped or repeated offsets, though every checksum fits", () =>
    Effect.gen(function*() {
      for (const wrong of [5, 0]) {
        const disk = new FaultDisk()
        const storage = yield* storageOn(disk)
        const log = yield* storage.create(described(name), commitOf(name, 0, [`0`, `1`]))
        const position = disk.files[path]!.length
        yield* log.commit(commitOf(name, wrong, [`2`]))
        const { faults } = yield* verifying(disk)
        assert.include(faults[0], { kind: "damaged", position, offset: 2 })
        assert.include(faults[0]!.problem, `has the offset ${toOffset(wrong)}, where ${toOffset(2)} is due`)
      }
    }).pipe(Effect.scoped))

  it.effect("finds a state that does not begin at its stated position, though every checksum fits", () =>
    Effect.gen(function*() {
      const closed = { text: `{"closed":true}`, back: 0 }
      const cases: ReadonlyArray<
        readonly [second: typeof closed | { text: undefined; back: number } | undefined, sound: boolean]
      > = [
        [closed, true],
        [{ text: undefined, back: stateBytes }, true],
        [{ text: undefined, back: stateBytes - 1 }, false],
        [undefined, false]
      ]
      for (const [second, sound] of cases) {
        const header = encodeNewLog(described(name), { events: emptyBlock(0), state: [] })
        const one = encodeCommit(emptyBlock(0), closed, header.crc)
        assert.strictEqual(one.bytes.length, stateBytes)
        const two = encodeCommit(commitOf(name, 0, [`0`]).events, second, one.crc)
        const disk = FaultDisk.holding({ [path]: Buffer.concat([header.bytes, one.bytes, two.bytes]) })
        assert.strictEqual((yield* verifying(disk)).faults.length, sound ? 0 : 1)
      }
    }))

  it.effect("counts the damaged places, and gives the position of the first one", () =>
    Effect.gen(function*() {
      const { bytes, ends, files } = yield* twoLogs(sixCommits("not"))
      bytes[ends[0]! + 40]! ^= 1
      bytes[ends[2]! + 40]! ^= 1
      const fault = yield* faultIn({ ...files, [path]: bytes }, "two places")
      assert.include(fault, { position: ends[0]!, offset: 1 })
      assert.include(fault.problem, "2 places")
    }))
})

describe("Promise 3: verify calls an end torn", () => {
  it.effect("wherever the last commit was cut short, and says how far the log is whole", () =>
    Effect.gen(function*() {
      const commits = sixCommits("not")
      const { bytes, ends, files } = yield* twoLogs(commits)
      const last = ends.at(-2)!
      const offset = textsOfAll(commits.slice(0, -1)).length
      for (let at = last + 1; at < bytes.length; at += 3) {
        const zeroed = Buffer.concat([bytes.subarray(0, at)], bytes.length)
        for (const torn of [bytes.subarray(0, at), zeroed]) {
          const fault = yield* faultIn({ ...files, [path]: torn }, `byte ${at}`)
          assert.include(fault, { kind: "torn", position: last, offset, torn: torn.length - last }, `byte ${at}`)
        }
      }
    }))

  it.effect("behind damage, too, and calls a file without a whole line never made", () =>
    Effect.gen(function*() {
      const { bytes, ends, files } = yield* twoLogs(sixCommits("not"))
      const empty = yield* faultIn({ ...files, [path]: Buffer.alloc(0) }, "empty")
      assert.strictEqual(empty.kind, "never made")
      const short = yield* faultIn({ ...files, [path]: bytes.subarray(0, 20) }, "no whole line")
      assert.strictEqual(short.kind, "never made")
      bytes[ends[2]! - 40]! ^= 1
      const both = yield* faultIn({ ...files, [path]: Buffer.concat([bytes, Buffer.from(`{"offset":"`)]) }, "both")
      assert.include(both, { kind: "damaged", position: ends[1]!, torn: 11 })
    }))

  it.effect("only if a start would cut it, whatever a crash made of the log", () =>
    Effect.gen(function*() {
      const commits = sixCommits("not")
      for (let seed = 0; seed < 25; seed++) {
        const choose = choosing(seed)
        const before = new FaultDisk()
        yield* writing(before, commits)
        before.flushesUntilFailure = 0
        yield* Effect.ignore(Effect.scoped(Effect.gen(function*() {
          const log = yield* (yield* storageOn(before)).open(named(name))
          yield* log.commit(commitOf(name, log.tail, [`"never acknowledged"`, `"nor this"`]))
        })))
        const crashed = before.crash(crashModes[seed % crashModes.length]!, choose)
        const { files } = crashed
        const { faults } = yield* verifying(FaultDisk.holding(files))
        yield* recovering(crashed)
        const cut = crashed.files[path]!
        const torn = files[path]!.length - cut.length
        assert.strictEqual(faults[0]?.torn ?? 0, torn, `seed ${seed}`)
        assert.deepStrictEqual((yield* verifying(crashed)).faults, [], `seed ${seed}: after the start`)
      }
    }))
})

describe("verify looks at the log that the next start will find:", () => {
  it.effect("commits that only the journal has are not lost, and verify neither replays nor removes them", () =>
    Effect.gen(function*() {
      const names = ["a", "b", "c", "d"]
      const disk = new FaultDisk()
      const crashed = yield* Effect.gen(function*() {
        const storage = yield* storageOn(disk)
        const logs = yield* Effect.forEach(names, (one) => storage.create(described(one), commitOf(one, 0, [`0`])))
        for (let turn = 1; turn < 20; turn++) {
          yield* Effect.forEach(logs, (log, i) => log.commit(commitOf(names[i]!, turn, [`${turn}`])), {
            concurrency: "unbounded"
          })
          yield* Effect.yieldNow
        }
        return disk.crash("size-only", () => 0)
      }).pipe(Effect.scoped)
      const { files } = crashed
      const { faults, verified } = yield* verifying(crashed)
      assert.deepStrictEqual(faults, [])
      assert.isAbove(verified.restorable, 0)
      assert.strictEqual(verified.events, names.length * 20)
      assert.deepStrictEqual(crashed.files, files)
      const without = FaultDisk.holding(
        Object.fromEntries(Object.entries(files).filter(([file]) => !file.startsWith("/journal.")))
      )
      assert.isAbove((yield* verifying(without)).faults.length, 0, "it was the journal that had them")
    }))

  it.effect("a fork's inherited events are gone if its source is gone or another stream has its place", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk)
      yield* storage.create(described("source"), commitOf("source", 0, [`0`, `1`, `2`]))
      const forkedFrom = { stream: named("source"), id: "one", offset: 2, bytes: 0 }
      yield* storage.create({ ...described("fork"), forkedFrom }, commitOf("fork", 2, [`"own"`]))
      assert.deepStrictEqual((yield* verifying(disk)).faults, [])
      yield* storage.hide(named("source"))
      assert.deepStrictEqual((yield* verifying(disk)).faults, [], "a hidden source is there")
      assert.strictEqual((yield* verifying(disk)).verified.logs, 2, "and is looked at")
      yield* storage.delete(named("source"))
      const [fault] = (yield* verifying(disk)).faults
      assert.include(fault, { kind: "orphaned", stream: named("fork") })
      yield* storage.create({ ...described("source"), id: "two" }, commitOf("source", 0, [`0`, `1`, `2`]))
      assert.include((yield* verifying(disk)).faults[0]!.problem, "another one has its name")
    }).pipe(Effect.scoped))

  it.live("an end that a server is writing is no fault, but damage is", () =>
    Effect.gen(function*() {
      const { bytes, ends, files } = yield* twoLogs(sixCommits("not"))
      const inUse = Effect.succeed(true)
      const growing = FaultDisk.holding({ ...files, [path]: bytes.subarray(0, bytes.length - 5) })
      const { faults, verified } = yield* verifying(growing, { inUse })
      assert.deepStrictEqual([faults.length, verified.growing], [0, 1])
      bytes[ends[2]! - 40]! ^= 1
      assert.strictEqual((yield* verifying(FaultDisk.holding({ ...files, [path]: bytes }), { inUse })).faults.length, 1)
    }))

  it.effect("lines that are longer than one read, or lie across two reads, are read right", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const long = Array.from({ length: 9 }, (_, i) => `"${"x".repeat(300_000 + i * 97_001)}"`)
      const storage = yield* storageOn(disk)
      const log = yield* storage.create(described(name), commitOf(name, 0, long.slice(0, 3)))
      yield* log.commit(commitOf(name, 3, long.slice(3), `{"closed":true}`))
      assert.deepStrictEqual((yield* verifying(disk)).faults, [])
      const bytes = disk.files[path]!
      const size = 1024 * 1024
      for (const at of [size - 1, size, size + 127, size + 128, 2 * size, 3 * size + 40]) {
        const hurt = Buffer.from(bytes)
        hurt[at]! ^= 1
        const { faults } = yield* verifying(FaultDisk.holding({ [path]: hurt }))
        assert.strictEqual(faults.length, 1, `byte ${at}`)
      }
    }).pipe(Effect.scoped))
})
