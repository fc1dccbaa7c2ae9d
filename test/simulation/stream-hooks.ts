/**
 * Hooks around the streams of a history (C15): one refuses, one notes what it is shown. What is refused is nowhere; what was
 * shown is there, whatever crashes behind it, and is shown once.
 */
import { Effect } from "effect"
import assert from "node:assert/strict"
import type { Hooks } from "../../src/hooks/hooks.ts"
import { HookError } from "../../src/hooks/hooks.ts"

/** In data that is to be refused. */
export const veto = { vetoed: true }

export class NotedHooks {
  /** Since the process began, by stream. */
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

  /** What the next process is shown is another matter. */
  restart(): void {
    this.#shown = new Map()
  }

  /** What was shown is not expected any more. */
  delete(units: ReadonlyArray<unknown>): void {
    for (const unit of units) this.#deleted.add(unit)
  }

  /** Whether what was shown is what is found; where the stream may have been deleted, it can be missing. */
  hold(slot: number, shown: ReadonlyArray<string>, found: ReadonlyArray<unknown>, mayBeGone: boolean): void {
    assert.equal(new Set(shown).size, shown.length, `an after hook of ${slot} was shown something twice`)
    if (mayBeGone) return
    const units = new Set(found)
    const missing = shown.filter((unit) => !units.has(unit) && !this.#deleted.has(unit))
    assert.deepEqual(missing, [], `what after hooks of ${slot} were shown is not there`)
  }
}
