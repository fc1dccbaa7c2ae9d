/**
 * Runs storage and streams in this process, by a clock that goes on only when it is told to, so that the same seed is the
 * same run. What was logged is kept for whoever asks.
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

/** Lets what is done beside everything else be done. */
export const rest = Effect.repeat(Effect.yieldNow, { times: 20 })
