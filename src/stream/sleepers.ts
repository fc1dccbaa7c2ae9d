/**
 * Followers that have read everything and wait for more: a wake-up each, and nothing else (promise 6).
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

  /** Is called once, when the others are woken. */
  add(sleeper: () => void): void {
    this.#resumes.add(sleeper)
  }

  delete(sleeper: () => void): void {
    this.#resumes.delete(sleeper)
  }

  /** Waits to be woken, unless there is `news` already; `left` runs when the follower gives up. */
  wait(news: () => boolean, left: () => void): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (news()) return resume(Effect.void)
      const sleeper = () => resume(Effect.void)
      this.#resumes.add(sleeper)
      return Effect.sync(() => {
        this.#resumes.delete(sleeper)
        left()
      })
    })
  }
}
