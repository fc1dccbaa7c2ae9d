/**
 * The configuration of a stream: its description, and whether an existing stream has the one that is asked for
 * (docs/protocol.md 10).
 */
import { rfc3339Millis } from "../domain/rfc3339.ts"
import type { StreamName } from "../domain/types.ts"
import { bytesType, isJson, mediaType } from "../domain/types.ts"
import type { StreamDescription } from "../storage/storage.ts"
import type { CreateRequest, Reservation, StreamInfo } from "./durable-stream.ts"

/** The description of a stream that is created now. A fork inherits each property that it does not name (PROTOCOL.md 4.2). */
export const toDescription = (
  name: StreamName,
  createdAt: string,
  request: CreateRequest,
  reservation: Reservation | undefined
): StreamDescription => {
  const source = reservation?.point.source
  const inherits = request.ttlSeconds === undefined && request.expiresAt === undefined
  return {
    name,
    contentType: request.contentType ?? source?.contentType ?? bytesType,
    createdAt,
    id: reservation?.forkId ?? newId(),
    ttlSeconds: inherits ? source?.ttlSeconds : request.ttlSeconds,
    expiresAt: inherits ? source?.expiresAt : request.expiresAt,
    forkedFrom: reservation?.point.origin
  }
}

/** 64 random bits: no two lives of a name ever meet. */
export const newId = (): string => crypto.randomUUID().replaceAll("-", "").slice(-16)

/** The first difference between the stream and the request, in words; undefined if there is none. */
export const differenceFrom = (info: StreamInfo, request: CreateRequest): string | undefined => {
  const { closed, description } = info
  const { closed: asksClosed = false, contentType, expiresAt, fork, ttlSeconds } = request
  const inherits = fork !== undefined && ttlSeconds === undefined && expiresAt === undefined
  const wanted = contentType ?? (fork === undefined ? bytesType : description.contentType)
  if (mediaType(wanted) !== mediaType(description.contentType)) return `its content type, ${description.contentType}`
  if (!inherits && ttlSeconds !== description.ttlSeconds) return "its time to live"
  if (!inherits && !isSameMoment(expiresAt, description.expiresAt)) return "when it expires"
  if (asksClosed !== closed) return closed ? "being closed" : "not being closed"
  return isSameFork(description, fork) ? undefined : "what it was forked from"
}

const isSameFork = ({ contentType, forkedFrom }: StreamDescription, fork: CreateRequest["fork"]): boolean => {
  if (fork === undefined || forkedFrom === undefined) return fork === forkedFrom
  if (fork.source !== forkedFrom.stream) return false
  // So many JSON messages past an offset is another offset, and the description has that one.
  const [further, bytes] = isJson(contentType) ? [fork.subOffset, 0] : [0, fork.subOffset]
  // No stream can be forked beyond its tail.
  const place = fork.offset ?? (further === 0 ? forkedFrom.offset : Infinity)
  return bytes === forkedFrom.bytes && place + further === forkedFrom.offset
}

const isSameMoment = (a: string | undefined, b: string | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && millis(a) === millis(b))

/** As in `expiry.ts`, also for an impossible day. */
const millis = (rfc3339: string) => rfc3339Millis(rfc3339) ?? Date.parse(rfc3339)
