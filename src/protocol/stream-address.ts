/**
 * Names and offsets as the protocol writes them (docs/protocol.md 8).
 */
import { Effect, Exit } from "effect"
import { InvalidRequest, RouteNotFound } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import { isReserved } from "../domain/types.ts"
import type { RouteRequest } from "../http/router.ts"
import { decodePercent } from "../http/router.ts"
import { fromOffset, streamName, textParameter } from "../stream-http/request-parameters.ts"
import type { From } from "../stream/durable-stream.ts"

/** Below which path the streams are. */
const root = "/v1/stream/"

/** The stream that is asked for. What is below `__ds` is no stream, but a control API that is not served. */
export const addressed = (request: RouteRequest): Exit.Exit<StreamName, InvalidRequest | RouteNotFound> =>
  isReserved(request.parameter)
    ? Exit.fail(new RouteNotFound({ path: request.path }))
    : streamName(request.parameter)

/** The stream at a path that a header names. */
export const streamAt = (path: string): Effect.Effect<StreamName, InvalidRequest> => {
  const name = path.startsWith(root) ? decodePercent(path.slice(root.length)) : undefined
  return name === undefined
    ? Effect.fail(new InvalidRequest({ message: `Stream-Forked-From must be a path ${root}<name>, percent-encoded.` }))
    : streamName(name)
}

/** What the reference server calls its beginning, and tools send without having asked. */
const writtenZero = "0000000000000000_0000000000000000"

/** An offset as a request writes it. */
export const protocolOffset = (text: string): Effect.Effect<From, InvalidRequest> =>
  text === writtenZero ? Effect.succeed("beginning") : fromOffset(text)

/** The offset that is asked for; undefined when none is. */
export const offsetOf = (query: URLSearchParams): Effect.Effect<From | undefined, InvalidRequest> =>
  Effect.flatMap(
    textParameter(query, "offset"),
    (text) => text === undefined ? Effect.undefined : protocolOffset(text)
  )
