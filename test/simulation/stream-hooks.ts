/**
 * Hooks around the streams of a history (C15): one refuses events, one notes the events it is shown. A refused event is
 * nowhere. A shown event is there, whatever crashes follow, and is shown once.
 */
import { Effect } from "effect"
import assert from "node:assert/strict"
import type { Hooks } from "../../src/hooks/hooks.ts"
import { HookError } from "../../src/hooks/hooks.ts"

/** The mark in data that the hook refuses. */
export const veto = { vetoed: true }

export class NotedHooks {
  /** The events shown since the process began, by stream. */
  #shown = new Map<number, ReadonlyArray<string>>()
  readonly #deleted = new Set<unknown>()

  hooks(slot: number): Hooks {
    return {
      beforeAppend: [{
        id: "veto",
        run: ({ data }) =>
          Object.hasOwn(data as object, "vetoed")
            ? Effect.fail(new HookError({ hookId: "veto", message: "not this one" }))
            : Effect.void
      }],
      afterAppend: [{
        id: "noted",
        run: ({ event }) =>
          Effect.sync(() => void this.#shown.set(slot, [...this.shownOf(slot), JSON.stringify(event.data)]))
      }]
    }
  }

  shownOf(slot: number): ReadonlyArray<string> {
    return this.#shown.get(slot) ?? []
  }

  /** The next process starts with nothing shown. */
  restart(): void {
    this.#shown = new Map()
  }

  /** Stops expecting these shown events. */
  delete(units: ReadonlyArray<unknown>): void {
    for (const unit of units) this.#deleted.add(unit)
  }

  /** Checks that every shown event is found. If the stream may have been deleted, events may be missing. */
  hold(slot: number, shown: ReadonlyArray<string>, found: ReadonlyArray<unknown>, mayBeGone: boolean): void {
    assert.equal(new Set(shown).size, shown.length, `an after hook of ${slot} was shown something twice`)
    if (mayBeGone) return
    const units = new Set(found)
    const missing = shown.filter((unit) => !units.has(unit) && !this.#deleted.has(unit))
    assert.deepEqual(missing, [], `what after hooks of ${slot} were shown is not there`)
  }
}
