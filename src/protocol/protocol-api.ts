/**
 * The Durable Streams Protocol as a group of an `HttpApi`, for `/openapi.json` and `/docs` (docs/protocol.md, part B).
 */
import { HttpApiGroup } from "effect/http-api"

export const protocolApi = HttpApiGroup.make("protocol")
