/**
 * Where a reading begins, of all the ways in which a request can say it.
 */
import { Effect } from "effect"
import type { From } from "./durable-stream.ts"
import { countParameter, sinceParameter } from "./request-parameters.ts"
import type { HookedStream } from "./with-hooks.ts"

/**
 * The latest of what `offset`, `since` and `tail` ask for; `otherwise` where none of them is there. From here on the stream
 * is being read, until the scope closes.
 */
export const startOf = Effect.fnUntraced(function*(
  stream: HookedStream,
  query: URLSearchParams,
  offset: From | undefined,
  otherwise: From
) {
  yield* stream.reading
  const since = yield* sinceParameter(query)
  const last = yield* countParameter(query, "tail")
  const start = yield* stream.cursor(
    offset ?? (since === undefined && last === undefined ? otherwise : "beginning")
  )
  if (since === undefined && last === undefined) return start
  const tail = yield* tailOf(stream)
  return {
    life: start.life,
    next: Math.max(
      start.next,
      since === undefined ? 0 : yield* stream.offsetSince(since),
      last === undefined ? 0 : tail - last
    )
  }
})

/** A stream that does not exist yet has its tail at the beginning. */
export const tailOf = (stream: HookedStream) =>
  stream.info.pipe(
    Effect.map(({ tail }) => tail),
    Effect.catchTag("StreamNotFound", () => Effect.succeed(0))
  )
