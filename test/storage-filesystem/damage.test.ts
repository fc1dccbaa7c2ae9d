/**
 * Damage before the tail is found and named; it is never served and never cut away. The events before it are served,
 * and so is every other stream (docs/storage-format.md 6).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LogDamaged } from "../../src/domain/errors.ts"
import { toOffset } from "../../src/domain/types.ts"
import type { Commit, Log } from "../../src/storage/storage.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { inProcess, type Logged } from "../simulation/in-process.ts"
import {
  name,
  other,
  path,
  pathOf,
  sixCommits,
  storageOn,
  textsOfAll,
  twoLogs,
  writing
} from "../support/log-fixtures.ts"
import { commitOf, named, readUpTo, textsOf } from "../support/storage-fixtures.ts"

/** Reads until an error; returns the events before it and the offset that the error names. */
const readUntilDamage = Effect.fnUntraced(function*(log: Pick<Log, "read">, tail: number, from = 0) {
  const texts: Array<string> = []
  while (from < tail) {
    const answer = yield* Effect.result(log.read(from, 1))
    if (answer._tag === "Failure") {
      assert.instanceOf(answer.failure, LogDamaged)
      return { texts, named: answer.failure.offset }
    }
    texts.push(...textsOf(answer.success))
    from = answer.success.first + answer.success.count
  }
  return { texts, named: undefined }
})

/**
 * Opens the disk and fails unless the log treats the damage, in the commit with number `hurt` (-1: in the header), as
 * section 6 says.
 */
const checkDamage = Effect.fnUntraced(
  function*(files: Readonly<Record<string, Uint8Array>>, commits: ReadonlyArray<Commit>, hurt: number, where: string) {
    const disk = FaultDisk.holding(files)
    const storage = yield* storageOn(disk)
    const all = textsOfAll(commits)
    const whole = textsOfAll(commits.slice(0, Math.max(hurt, 0)))
    const opening = yield* Effect.result(storage.open(named(name)))
    if (opening._tag === "Failure") {
      assert.isAtMost(hurt, 0, `${where}: a log with whole commits cannot be opened`)
      assert.instanceOf(opening.failure, LogDamaged, where)
      assert.strictEqual(opening.failure.offset, toOffset(0), where)
    } else {
      const log = opening.success
      assert.strictEqual(log.tail, all.length, `${where}: an offset would be given again`)
      assert.deepStrictEqual([...log.state], commits.at(-1)!.state, where)
      const found = yield* readUntilDamage(log, log.tail)
      assert.deepStrictEqual(found.texts, whole, `${where}: what is before the damage`)
      assert.strictEqual(found.named, toOffset(whole.length), `${where}: the offset that cannot be had`)
      // A reader that starts behind the damage gets the true event or an error, never another event.
      for (let from = whole.length; from < all.length; from++) {
        const answer = yield* Effect.result(log.read(from, 1))
        if (answer._tag === "Success") assert.strictEqual(textsOf(answer.success)[0], all[from], where)
        else assert.instanceOf(answer.failure, LogDamaged, where)
      }
    }
    assert.deepStrictEqual(disk.files, files, `${where}: the files were changed`)
    assert.deepStrictEqual(yield* storage.list(), [named(name), named(other)])
    const sound = yield* storage.open(named(other))
    assert.strictEqual((yield* readUpTo(sound, sound.tail)).length, 2)
  },
  Effect.scoped
)

/** The log takes an append now, and a read returns it. */
const goesOn = Effect.fnUntraced(function*(log: Log) {
  const more = commitOf(name, log.tail, [`"behind it"`])
  yield* log.commit(more)
  assert.deepStrictEqual(textsOf(yield* log.read(log.tail, 1)), textsOf(more.events))
})

/** A log of commits of one event each. Each commit is one line, so that a test can reorder them. */
const linesOf = Effect.fnUntraced(function*(count: number, bytes: number) {
  const disk = new FaultDisk()
  const commits = Array.from({ length: count }, (_, i) => commitOf(name, i, [`"${`${i}`.padEnd(bytes, "x")}"`]))
  yield* writing(disk, commits)
  const [header, ...lines] = disk.files[path]!.toString().split(/(?<=\n)/)
  return {
    texts: textsOfAll(commits),
    arranged: (order: ReadonlyArray<number>) => Buffer.from([header, ...order.map((i) => lines[i])].join(""))
  }
})

const commitAt = (ends: ReadonlyArray<number>, headerEnd: number, at: number): number =>
  at < headerEnd ? -1 : ends.findIndex((end) => at < end)

describe("Promise 10: one flipped bit in any byte before the last commit", () => {
  it.effect.each(["with an event", "alone", "not"] as const)(
    "is found, and the events before it are served (the stream is closed: %s)",
    (closing) =>
      Effect.gen(function*() {
        const commits = sixCommits(closing)
        const { bytes, ends, files } = yield* twoLogs(commits)
        const headerEnd = bytes.indexOf("\n") + 1
        for (let at = 0; at < ends.at(-2)!; at++) {
          for (const bit of [0, 1 + at % 7]) {
            const flipped = Buffer.from(bytes)
            flipped[at]! ^= 1 << bit
            const hurt = commitAt(ends, headerEnd, at)
            yield* checkDamage({ ...files, [path]: flipped }, commits, hurt, `bit ${bit} of byte ${at}`)
          }
        }
      })
  )
})

describe("Promise 10: bytes before the last two commits", () => {
  const hurting: ReadonlyArray<readonly [what: string, (bytes: Buffer, at: number) => void]> = [
    ["that became zeros", (bytes, at) => bytes.fill(0, at, at + 16)],
    ["that became line feeds", (bytes, at) => bytes.fill(0x0a, at, at + 3)],
    ["that were swapped", (bytes, at) => bytes.subarray(at, at + 16).swap64()]
  ]
  it.effect.each(hurting)(
    "%s are found, and the events before them are served",
    ([what, hurt]) =>
      Effect.gen(function*() {
        const commits = sixCommits()
        const { bytes, ends, files } = yield* twoLogs(commits)
        const headerEnd = bytes.indexOf("\n") + 1
        for (let at = 0; at + 16 <= ends.at(-3)!; at++) {
          const changed = Buffer.from(bytes)
          hurt(changed, at)
          if (changed.equals(bytes)) continue
          const first = commitAt(ends, headerEnd, changed.findIndex((byte, i) => byte !== bytes[i]))
          yield* checkDamage({ ...files, [path]: changed }, commits, first, `${what}, from byte ${at}`)
        }
      })
  )
})

describe("Promise 10: commits", () => {
  const rearranged: ReadonlyArray<readonly [what: string, order: ReadonlyArray<number>, hurt: number]> = [
    ["left out", [0, 1, 3, 4, 5], 2],
    ["swapped", [0, 2, 1, 3, 4, 5], 1]
  ]
  it.effect.each(rearranged)(
    "that were %s are found, though each commit is whole",
    ([what, order, hurt]) =>
      Effect.gen(function*() {
        const commits = sixCommits()
        const { bytes, ends, files } = yield* twoLogs(commits)
        const starts = [bytes.indexOf("\n") + 1, ...ends]
        const parts = order.map((i) => bytes.subarray(starts[i], ends[i]))
        const changed = Buffer.concat([bytes.subarray(0, starts[0]), ...parts])
        yield* checkDamage({ ...files, [path]: changed }, commits, hurt, what)
      })
  )

  it.effect("of another stream under this stream's name are not served as this stream's", () =>
    Effect.gen(function*() {
      const { files } = yield* twoLogs(sixCommits())
      const disk = FaultDisk.holding({ ...files, [path]: files[pathOf(other)]! })
      const storage = yield* storageOn(disk)
      assert.instanceOf(yield* Effect.flip(storage.open(named(name))), LogDamaged)
    }).pipe(Effect.scoped))
})

describe("Promise 10: a damaged log", () => {
  it.effect("serves the events before the damage, though the search for them meets damaged lines", () =>
    Effect.gen(function*() {
      // Long enough that the log searches it and does not read it through.
      const commits = Array.from({ length: 400 }, (_, i) => commitOf(name, i, [`"${"x".repeat(200)}"`]))
      const { bytes, ends, files } = yield* twoLogs(commits)
      for (let hurt = 150; hurt < 350; hurt += 2) {
        const changed = Buffer.from(bytes)
        // The damaged line has another number, or none.
        const digit = ends[hurt - 1]! + `{"offset":"0000000000000`.length
        changed.write(hurt % 4 === 0 ? "0" : "?", digit)
        const storage = yield* storageOn(FaultDisk.holding({ ...files, [path]: changed }))
        for (const from of [0, hurt - 100, hurt - 1]) {
          const log = yield* storage.open(named(name))
          const block = yield* log.read(from, 1)
          assert.strictEqual(textsOf(block)[0], textsOf(commits[from]!)[0], `${from}, with ${hurt} hurt`)
        }
      }
    }).pipe(Effect.scoped))

  it.effect("takes appends at its tail, and they are read back", () =>
    Effect.gen(function*() {
      const commits = sixCommits("not")
      const { bytes, ends, files } = yield* twoLogs(commits)
      bytes[ends[2]! - 40]! ^= 1
      const disk = FaultDisk.holding({ ...files, [path]: bytes })
      const tail = textsOfAll(commits).length
      const storage = yield* storageOn(disk)
      const log = yield* storage.open(named(name))
      assert.strictEqual(log.tail, tail)
      yield* log.commit(commitOf(name, tail, [`"after the damage"`]))
      const reopened = yield* storage.open(named(name))
      const added = yield* readUpTo(reopened, tail + 1, tail)
      assert.deepStrictEqual(added, textsOf(commitOf(name, tail, [`"after the damage"`]).events))
    }).pipe(Effect.scoped))

  it.effect("goes on behind commits that are there twice, and so do readers who have read up to them", () =>
    Effect.gen(function*() {
      const commits = sixCommits("not")
      const { bytes, ends, files } = yield* twoLogs(commits)
      const twice = Buffer.concat([bytes, bytes.subarray(ends[3])])
      const storage = yield* storageOn(FaultDisk.holding({ ...files, [path]: twice }))
      const log = yield* storage.open(named(name))
      assert.deepStrictEqual(yield* readUpTo(log, log.tail, 0, 1), textsOfAll(commits))
      // The search must find the first of the two copies: a reader goes on from there.
      yield* log.read(log.tail - 1, 1)
      yield* goesOn(log)
    }).pipe(Effect.scoped))

  it.effect("gives no offset a second time when old commits were moved after new ones", () =>
    Effect.gen(function*() {
      const { arranged, texts } = yield* linesOf(12, 20)
      const storage = yield* storageOn(FaultDisk.holding({ [path]: arranged([0, 1, 2, 10, 5, 6, 7, 8, 9, 3, 4]) }))
      const log = yield* storage.open(named(name))
      assert.strictEqual(log.tail, 10)
      assert.deepStrictEqual(yield* readUntilDamage(log, log.tail), { texts: texts.slice(0, 3), named: toOffset(3) })
      yield* goesOn(log)
    }).pipe(Effect.scoped))

  it.effect("serves the event that was appended at the offset of a damaged line", () =>
    Effect.gen(function*() {
      const { arranged } = yield* linesOf(10, 20)
      const bytes = arranged([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 4, 5])
      bytes[bytes.indexOf(`"offset":"${toOffset(9)}"`) + 70]! ^= 1
      const storage = yield* storageOn(FaultDisk.holding({ [path]: bytes }))
      const log = yield* storage.open(named(name))
      assert.strictEqual(log.tail, 9)
      yield* goesOn(log)
    }).pipe(Effect.scoped))

  const moved: ReadonlyArray<readonly [what: string, bytes: number, order: ReadonlyArray<number>]> = [
    ["behind newer ones", 20, [0, 3, 4, 5, 1, 2]],
    ["behind newer ones, so long that they are searched", 9_000, [0, 3, 4, 5, 1, 2]],
    ["to the front", 9_000, [0, 4, 5, 1, 2, 3, 6, 7]],
    ["into one another", 9_000, [0, 1, 4, 2, 5, 3, 6, 7, 7, 6]]
  ]
  it.effect.each(moved)(
    "whose commits were moved %s serves the same events as before, whatever is read in between",
    ([, bytes, order]) =>
      Effect.gen(function*() {
        const { arranged } = yield* linesOf(8, bytes)
        const tail = Math.max(...order) + 1
        const offsets = Array.from({ length: tail + 1 }, (_, i) => i)
        const more = commitOf(name, tail, [`"after the damage"`])
        /** Makes these reads and returns the last one's result. */
        const last = Effect.fnUntraced(function*(reads: ReadonlyArray<number>) {
          const storage = yield* storageOn(FaultDisk.holding({ [path]: arranged(order) }))
          const log = yield* storage.open(named(name))
          yield* log.commit(more)
          const answers = yield* Effect.forEach(reads, (from) => Effect.result(log.read(from, 1)))
          const answer = answers.at(-1)!
          return answer._tag === "Success" ? textsOf(answer.success)[0] : undefined
        }, Effect.scoped)
        for (const from of offsets) {
          const alone = yield* last([from])
          if (alone === undefined) continue
          for (const before of offsets) {
            assert.strictEqual(yield* last([before, from]), alone, `${from} after ${before}`)
            assert.strictEqual(yield* last([from, before, from]), alone, `${from} again, after ${before}`)
          }
        }
      })
  )

  it.effect.each([0, 1, 12])(
    "that holds a commit twice serves each event once, and the server's log reports it (commit %i)",
    (twice) =>
      Effect.gen(function*() {
        const { arranged, texts } = yield* linesOf(20, 4_000)
        const bytes = arranged([...texts.keys()].toSpliced(twice, 0, twice))
        const lines: Array<Logged> = []
        const found = yield* Effect.promise(() =>
          inProcess(
            Effect.gen(function*() {
              const storage = yield* storageOn(FaultDisk.holding({ [path]: bytes }))
              const log = yield* storage.open(named(name))
              yield* readUntilDamage(log, log.tail)
              return yield* readUntilDamage(log, log.tail)
            }),
            (line) => lines.push(line)
          )
        )
        assert.deepStrictEqual(found, { texts, named: undefined })
        const told = { stream: name, path, offset: toOffset(twice + 1) }
        assert.deepInclude(lines.map(({ fields }) => fields), told)
      })
  )

  it.effect("whose torn end is cut keeps everything before that end", () =>
    Effect.gen(function*() {
      const { bytes, ends, files } = yield* twoLogs(sixCommits("not"))
      bytes[ends[2]! - 40]! ^= 1
      const torn = Buffer.concat([bytes, Buffer.from(`{"offset":"00000000`)])
      const disk = FaultDisk.holding({ ...files, [path]: torn })
      const storage = yield* storageOn(disk)
      yield* storage.open(named(name))
      assert.isTrue(disk.files[path]!.equals(bytes))
    }).pipe(Effect.scoped))
})
