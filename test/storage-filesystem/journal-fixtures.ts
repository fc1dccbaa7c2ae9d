/**
 * Logs that get commits at the same time, so that a journal takes them.
 */
import { Effect, Exit, Schedule } from "effect"
import type { Log, Storage } from "../../src/storage/storage.ts"
import { commitOf, described } from "../support/storage-fixtures.ts"

export const names = ["a", "b", "c", "d", "e", "f"]
export const areas = ["/journal.0", "/journal.1"]

/** Yields often enough for the work that runs beside the appends. */
export const turns = Effect.repeat(Effect.yieldNow, Schedule.recurs(20))

/** Events of different lengths; the log's name and the offset determine each one. */
export const dataOf = (name: string, offset: number) => `"${name} ${offset} ${"x".repeat(offset * 37 % 90)}"`

/**
 * Logs that get commits at the same time, with the number of events of each that are acknowledged and that may exist.
 */
export class Writing {
  readonly acknowledged = new Map<string, number>()
  readonly begun = new Map<string, number>()
  readonly logs = new Map<string, Log>()

  static readonly on = Effect.fnUntraced(function*(storage: Storage["Service"], each = names) {
    const writing = new Writing()
    for (const name of each) {
      writing.begun.set(name, 1)
      writing.logs.set(name, yield* storage.create(described(name), commitOf(name, 0, [dataOf(name, 0)])))
      writing.acknowledged.set(name, 1)
    }
    return writing
  })

  /** Commits this many events to each of the logs, all at once; a refusal does not fail the test. */
  readonly commits = (each: ReadonlyArray<string>, events: number) =>
    Effect.forEach(each, (name) =>
      Effect.suspend(() => {
        const first = this.acknowledged.get(name)!
        this.begun.set(name, first + events)
        const data = Array.from({ length: events }, (_, i) => dataOf(name, first + i))
        return Effect.map(Effect.exit(this.logs.get(name)!.commit(commitOf(name, first, data))), (exit) => {
          if (Exit.isSuccess(exit)) this.acknowledged.set(name, first + events)
          return exit
        })
      }), { concurrency: "unbounded" })
}

/** Logs with commits at the same time, in a storage whose journal is ready. */
export const journaling = Effect.fnUntraced(function*(storage: Storage["Service"]) {
  const writing = yield* Writing.on(storage)
  // The first time that many commits come together, the storage makes the journal and flushes the logs one by one.
  yield* writing.commits(names, 1)
  yield* turns
  return writing
})
