/**
 * Deletions and forks on a disk that starts to refuse in between: each answer agrees with the streams after a power
 * cut, and no fork loses its history (docs/storage-format.md 5).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { type Call, choosing, failing, FaultDisk } from "../simulation/fault-disk.ts"
import { pathOf } from "../support/log-fixtures.ts"
import { appending, settled } from "../support/storage-fixtures.ts"
import { fork, makeBoth, makeFork, makeSource, remove, served, source, stateOf } from "./fork-fixtures.ts"

/** A call of the disk that fails `times` times, after `from` calls that succeed. */
type Fault = readonly [call: Call, from: number, times: number]

const refuse = (disk: FaultDisk, faults: ReadonlyArray<Fault>) => {
  const seen = new Map<Call, number>()
  disk.before = (call, path) =>
    Effect.suspend(() => {
      const count = seen.get(call) ?? 0
      seen.set(call, count + 1)
      const fails = faults.some(([failed, from, times]) => call === failed && count >= from && count < from + times)
      return fails ? Effect.fail(failing(call, path, "EIO")) : Effect.void
    })
}

const calls: ReadonlyArray<Call> = ["flushDirectory", "rename", "remove", "open"]

const single = calls.flatMap((call) =>
  [0, 1, 2].flatMap((from) => [1, 2, 9].map((times): Fault => [call, from, times]))
)

/** Each fault alone, and a failure of all flushes from one on together with a failure of each other call. */
const faultsOf: ReadonlyArray<ReadonlyArray<Fault>> = [
  ...single.map((fault) => [fault]),
  ...single.filter(([call, from, times]) => call !== "flushDirectory" && from < 2 && times !== 2).flatMap((other) =>
    [0, 1, 2].flatMap((from) => [1, 9].map((times): ReadonlyArray<Fault> => [["flushDirectory", from, times], other]))
  )
]

const gone = "gone"

/** The states that the source may have after a power cut, as far as the answers say. */
class Possible {
  states: ReadonlyArray<string> = [JSON.stringify([0, 1])]

  deleted(answer: string) {
    if (answer === "ok" || isGone(answer)) this.states = [gone]
    else this.states = [...this.states, gone]
    return answer
  }

  appended(value: string, answer: string | number) {
    if (typeof answer === "number") {
      const before = this.states.map((state) => state === gone ? [] : JSON.parse(state) as Array<unknown>)
      this.states = before.filter(({ length }) => length === answer).map((data) => JSON.stringify([...data, value]))
    } else if (isGone(answer)) {
      this.states = [gone]
    } else if (this.states.includes(gone)) {
      this.states = [...this.states, JSON.stringify([value])]
    }
    return answer
  }
}

const isGone = (tag: string) => tag === "StreamGone" || tag === "StreamNotFound"

const shown = (state: string | ReadonlyArray<unknown>): string =>
  typeof state !== "string" ? JSON.stringify(state) : isGone(state) ? gone : state

const deleting = (name: typeof source) =>
  Effect.match(remove(name), { onSuccess: () => "ok", onFailure: ({ _tag }) => _tag as string })

const appendingOne = (value: string) =>
  Effect.flatMap(StreamManager, (manager) => manager.append(source, appending(value))).pipe(
    Effect.match({ onSuccess: ({ events }) => events.first, onFailure: ({ _tag }) => _tag as string })
  )

/** The state that the next process finds, for each way in which a power cut may happen now. */
const afterPowerCuts = Effect.fnUntraced(function*(
  disk: FaultDisk,
  check: (source: string, fork: string) => void
) {
  const choose = choosing(3)
  for (const mode of ["nothing", "everything", "prefix", "prefix"] as const) {
    const found = served(disk.crash(mode, choose), Effect.all([stateOf(source), stateOf(fork)]))
    const [ofSource, ofFork] = yield* Effect.scoped(found)
    check(shown(ofSource), shown(ofFork))
  }
})

describe("On a disk that refuses for a while", () => {
  it.effect.each([true, false])(
    "a stream that is deleted and appended to is as the answers say (forked: %s)",
    (forked) =>
      Effect.gen(function*() {
        for (const faults of faultsOf) {
          const disk = new FaultDisk()
          const possible = new Possible()
          const told: Array<unknown> = [faults]
          const del = Effect.map(deleting(source), (answer) => possible.deleted(answer))
          const append = (value: string) =>
            Effect.map(appendingOne(value), (answer) => possible.appended(value, answer))
          const noFork = Effect.tap(deleting(fork), () => settled)
          const steps = forked
            ? [del, append("a"), del, append("b"), noFork, append("c")]
            : [del, append("a"), append("b"), del]
          const program = Effect.gen(function*() {
            yield* forked ? makeBoth : makeSource
            refuse(disk, faults)
            for (const [i, step] of steps.entries()) {
              told.push(yield* step)
              const where = `${JSON.stringify(told)}: ${possible.states.join(" or ")}`
              yield* afterPowerCuts(disk, (ofSource, ofFork) => {
                assert.include(possible.states, ofSource, where)
                if (ofFork !== gone || i < steps.indexOf(noFork)) assert.strictEqual(ofFork, `[0,1,"own"]`, where)
              })
            }
          })
          yield* Effect.scoped(served(disk, program))
          disk.before = () => Effect.void
          assert.deepStrictEqual(yield* leftBy(disk), [], JSON.stringify(told))
        }
      }),
    60_000
  )

  it.effect(
    "a fork that cannot be made does not exist, or keeps its history when its source is deleted",
    () =>
      Effect.gen(function*() {
        for (const faults of faultsOf) {
          const disk = new FaultDisk()
          const program = Effect.gen(function*() {
            yield* makeSource
            refuse(disk, faults)
            const made = yield* Effect.exit(makeFork)
            const deleted = yield* deleting(source)
            yield* afterPowerCuts(disk, (ofSource, ofFork) => {
              if (ofFork === gone && made._tag === "Failure") return
              assert.strictEqual(ofFork, "[0,1]", JSON.stringify([faults, made._tag, deleted, ofSource]))
            })
          })
          yield* Effect.scoped(served(disk, program))
          disk.before = () => Effect.void
          assert.deepStrictEqual(yield* leftBy(disk), [], JSON.stringify(faults))
        }
      }),
    60_000
  )

  it.effect("the next server flushes the events that a killed server had not flushed, before it adds any", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const append = Effect.scoped(served(disk, appendingOne("a")))
      disk.before = (call) => call === "flushDirectory" && pathOf(source) in disk.files ? Effect.never : Effect.void
      yield* Effect.forkDetach(append)
      yield* settled
      assert.deepStrictEqual(Object.keys(disk.files), [pathOf(source)])
      disk.before = () => Effect.void
      yield* append
      yield* afterPowerCuts(disk, (ofSource) => assert.strictEqual(ofSource, `["a","a"]`))
    }))
})

/** The files that are left after both streams were deleted, and a caller has asked for them. */
const leftBy = Effect.fnUntraced(function*(disk: FaultDisk) {
  const clearing = Effect.gen(function*() {
    for (const name of [source, fork]) yield* deleting(name)
    yield* settled
    yield* stateOf(source)
  })
  yield* Effect.scoped(served(disk, clearing))
  return Object.keys(disk.files)
})
