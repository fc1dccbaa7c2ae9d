/**
 * Logs that are written to side by side, so that a journal takes their commits.
 */
import { Effect, Exit, Schedule } from "effect"
import type { Log, Storage } from "../../src/storage/storage.ts"
import { commitOf, described } from "../support/storage-fixtures.ts"

export const names = ["a", "b", "c", "d", "e", "f"]
export const areas = ["/journal.0", "/journal.1"]

/** Time for what is done beside the appends. */
export const turns = Effect.repeat(Effect.yieldNow, Schedule.recurs(20))

/** Events of different lengths, which their log and offset determine. */
export const dataOf = (name: string, offset: number) => `"${name} ${offset} ${"x".repeat(offset * 37 % 90)}"`

/** Logs that are written to side by side, and how many events of each are acknowledged and may be there. */
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

  /** One commit of so many events on each of the logs, all at once; a refusal is no failure of the test. */
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

/** Logs side by side in a storage whose journal is ready. */
export const journaling = Effect.fnUntraced(function*(storage: Storage["Service"]) {
  const writing = yield* Writing.on(storage)
  // The first time many come together it is made, and they are flushed one by one.
  yield* writing.commits(names, 1)
  yield* turns
  return writing
})
