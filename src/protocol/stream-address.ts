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

/** The path above all streams. */
const root = "/v1/stream/"

/** The stream that the request names. Below `__ds` are no streams, but a control API that is not served. */
export const addressedStream = (request: RouteRequest): Exit.Exit<StreamName, InvalidRequest | RouteNotFound> =>
  isReserved(request.parameter)
    ? Exit.fail(new RouteNotFound({ path: request.path }))
    : streamName(request.parameter)

/** The stream at the path that a header names. */
export const streamAt = (path: string): Effect.Effect<StreamName, InvalidRequest> => {
  const name = path.startsWith(root) ? decodePercent(path.slice(root.length)) : undefined
  return name === undefined
    ? Effect.fail(new InvalidRequest({ message: `Stream-Forked-From must be a path ${root}<name>, percent-encoded.` }))
    : streamName(name)
}

/** The beginning as the reference server writes it; tools send it without having read it. */
const writtenZero = "0000000000000000_0000000000000000"

/** Parses an offset as a request writes it. */
export const protocolOffset = (text: string): Effect.Effect<From, InvalidRequest> =>
  text === writtenZero ? Effect.succeed("beginning") : fromOffset(text)

/** The offset that the query names; undefined when it names none. */
export const offsetOf = (query: URLSearchParams): Effect.Effect<From | undefined, InvalidRequest> =>
  Effect.flatMap(
    textParameter(query, "offset"),
    (text) => text === undefined ? Effect.undefined : protocolOffset(text)
  )
