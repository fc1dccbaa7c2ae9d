/**
 * Holds one open log at a time: it stays open until it is let go.
 */
import { Effect, Exit, Scope } from "effect"
import type { Log } from "../storage/storage.ts"

interface LogHolder {
  /** Opens a log, or makes one. The one before was let go. */
  readonly hold: <E>(opening: Effect.Effect<Log, E, Scope.Scope>) => Effect.Effect<Log, E>
  /** Closes the log, if there is one. */
  readonly letGo: Effect.Effect<void>
}

export const makeLogHolder = (): LogHolder => {
  let held: Scope.Closeable | undefined

  return {
    hold: (opening) =>
      Effect.suspend(() => {
        const scope = Scope.makeUnsafe()
        return Scope.provide(opening, scope).pipe(
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
          Effect.tap(() => Effect.sync(() => void (held = scope)))
        )
      }),
    letGo: Effect.suspend(() => {
      const scope = held
      held = undefined
      return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
    })
  }
}
