/**
 * `PUT`: makes a stream or a fork, or finds that it exists and was made with the same settings (docs/protocol.md 10).
 */
import { Effect } from "effect"
import { bytesType, isJson } from "../domain/types.ts"
import { EventData } from "../event/event-data.ts"
import type { Incoming } from "../http/exchange.ts"
import { callerOf } from "../http/gates.ts"
import type { RouteRequest } from "../http/router.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import { fromMessages } from "../stream-http/append-body.ts"
import { conditionOf } from "../stream-http/preconditions.ts"
import { checkEncoding, closesStream, countHeader, invalid } from "../stream-http/request-parameters.ts"
import type { CreateRequest } from "../stream/durable-stream.ts"
import { infoHeaders, lifetime, sentType } from "./protocol-headers.ts"
import { addressedStream, protocolOffset, streamAt } from "./stream-address.ts"

export const createStream = (
  manager: StreamManager["Service"],
  bodyBytesMax: number,
  publicBase: (request: Incoming) => string | undefined
) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const name = yield* addressedStream(request)
    const contentType = yield* sentType(request)
    const life = yield* lifetime(request)
    const fork = yield* forkOf(request)
    yield* checkEncoding(request)
    const onlyIf = yield* conditionOf(request)
    const body = yield* request.body(bodyBytesMax)
    // A fork's first own events are of its source's type. `create` decides whether the source may be forked at all.
    const type = contentType ??
      (fork === undefined || body.length === 0 ? undefined : yield* typeOf(manager, fork.source)) ?? bytesType
    const data = body.length === 0
      ? []
      : isJson(type)
      ? yield* fromMessages(body)
      : [EventData.fromBytes(body)]
    const { info, made } = yield* manager.create(name, {
      ...life,
      contentType,
      closed: closesStream(request),
      onlyIf,
      data,
      by: callerOf(request),
      fork
    })
    const headers = infoHeaders(info)
    if (made) headers["location"] = `${publicBase(request) ?? ""}${request.path}`
    return { status: made ? 201 : 200, headers, body: undefined }
  })

const typeOf = (manager: StreamManager["Service"], source: Fork["source"]) =>
  manager.get(source).pipe(
    Effect.flatMap((stream) => stream.info),
    Effect.map(({ description }) => description.contentType),
    Effect.catchTag(["StreamNotFound", "StreamGone"], () => Effect.undefined)
  )

type Fork = NonNullable<CreateRequest["fork"]>

/** The place at which the request forks another stream; undefined when it does not. */
const forkOf = Effect.fnUntraced(function*(request: Incoming) {
  const path = request.header("stream-forked-from")
  const offset = request.header("stream-fork-offset")
  const subOffset = yield* countHeader(request, "Stream-Fork-Sub-Offset")
  if (path === undefined) {
    if (offset === undefined && subOffset === undefined) return undefined
    return yield* invalid("Stream-Fork-Offset and Stream-Fork-Sub-Offset need Stream-Forked-From.")
  }
  const from = offset === undefined ? undefined : yield* protocolOffset(offset)
  if (from === "now") return yield* invalid("Leave out Stream-Fork-Offset to fork at the tail.")
  const fork: Fork = {
    source: yield* streamAt(path),
    offset: from === "beginning" ? 0 : from,
    subOffset: subOffset ?? 0
  }
  return fork
})
