/**
 * What a page or a program imports that talks to a server: `durable-streams/client`. It imports nothing but `effect`, and
 * runs in a browser.
 */
export type { Address } from "../api/wire.ts"
export type { Offset } from "../domain/types.ts"
export { AnswerUnusable } from "./answer-bounds.ts"
export { type ClientError, ServerRefused, ServerUnreachable } from "./client-answers.ts"
export { type Conditions, type ListOptions, makeClient, type Making, type Start, type StreamFacts } from "./client.ts"
export { type EventText, follow, type FollowOptions, type Gap } from "./follow.ts"
