/**
 * The protocol's subscriptions as a group of an `HttpApi`, for `/openapi.json` and `/docs` (docs/subscriptions.md).
 */
import { HttpApiGroup } from "effect/http-api"

export const subscriptionApi = HttpApiGroup.make("subscriptions")
