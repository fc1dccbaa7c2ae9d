/**
 * Followers that have read everything and wait for more: each costs a wake-up, and nothing else (promise 6).
 */
import { Effect } from "effect"

export class Sleepers {
  readonly #resumes = new Set<() => void>()

  get size(): number {
    return this.#resumes.size
  }

  wake(): void {
    if (this.#resumes.size === 0) return
    const woken = [...this.#resumes]
    this.#resumes.clear()
    for (const resume of woken) resume()
  }

  /** Calls the sleeper once, when all are woken. */
  add(sleeper: () => void): void {
    this.#resumes.add(sleeper)
  }

  delete(sleeper: () => void): void {
    this.#resumes.delete(sleeper)
  }

  /** Ends at once if `hasNews()`, else when all are woken; runs `onLeave` if it is interrupted. */
  wait(hasNews: () => boolean, onLeave: () => void): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (hasNews()) return resume(Effect.void)
      const sleeper = () => resume(Effect.void)
      this.#resumes.add(sleeper)
      return Effect.sync(() => {
        this.#resumes.delete(sleeper)
        onLeave()
      })
    })
  }
}
