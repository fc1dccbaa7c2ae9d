/**
 * Runs storage and streams in this process, with a simulated clock that advances only on request, so that the same seed
 * gives the same run. Log lines are kept for the caller.
 */
import { Effect, Layer, Logger, References, type Scope } from "effect"
import { TestClock } from "effect/testing"

export interface Logged {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export const inProcess = <A, E>(
  effect: Effect.Effect<A, E, Scope.Scope>,
  logged: (line: Logged) => void = () => {}
): Promise<A> =>
  Effect.runPromise(effect.pipe(Effect.scoped, Effect.provide(Layer.merge(TestClock.layer(), to(logged)))))

const to = (logged: (line: Logged) => void) =>
  Logger.layer([
    Logger.make(({ fiber, message }) =>
      logged({ message: String(message), fields: fiber.getRef(References.CurrentLogAnnotations) })
    )
  ])

/** Lets background work finish. */
export const rest = Effect.repeat(Effect.yieldNow, { times: 20 })
