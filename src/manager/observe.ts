/**
 * Observing streams: the names that begin with a prefix, and then every change to those streams, without a gap between the
 * two.
 */
import { Effect, type Scope } from "effect"
import type { StorageError } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import type { StreamSignals } from "../stream/stream-signals.ts"

/** Hears what happens to streams. Each stream's writer calls it, in order: it must not throw and does its work elsewhere. */
type StreamObserver = Partial<StreamSignals>

export interface Observation {
  /**
   * The names that there are now, in ascending order. Every change since the observation began is told as well, so an
   * observer misses none, and must know one again that it finds in both. Can be read again, also after it failed.
   */
  readonly names: Effect.Effect<ReadonlyArray<StreamName>, StorageError>
}

/** Begins an observation that lasts until the scope closes. */
export type Observe = (prefix: string, observer: StreamObserver) => Effect.Effect<Observation, never, Scope.Scope>

/** Makes `observe`, and the signals that streams give. `list` finds the names that begin with a prefix. */
export const makeObserve = (
  list: (prefix: string) => Observation["names"]
): { readonly observe: Observe; readonly signals: StreamSignals } => {
  const observers = new Set<{ readonly prefix: string; readonly observer: StreamObserver }>()
  const tell = (name: StreamName, call: (observer: StreamObserver) => void) => {
    for (const { observer, prefix } of observers) if (name.startsWith(prefix)) call(observer)
  }
  return {
    signals: {
      created: (description) => tell(description.name, ({ created }) => created?.(description)),
      appended: (description, tail) => tell(description.name, ({ appended }) => appended?.(description, tail)),
      deleted: (description) => tell(description.name, ({ deleted }) => deleted?.(description)),
      forgotten: (description) => tell(description.name, ({ forgotten }) => forgotten?.(description))
    },
    observe: (prefix, observer) =>
      Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => {
            const entry = { prefix, observer }
            observers.add(entry)
            return entry
          }),
          (entry) => Effect.sync(() => observers.delete(entry))
        ),
        { names: Effect.suspend(() => list(prefix)) }
      )
  }
}
