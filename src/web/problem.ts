/**
 * Refusals as RFC 9457 problem details (promise 11): status and title from the table beside the errors, the sentence
 * from the error, and the error's own fields as extensions.
 */
import { refusals } from "../durable-streams/errors.ts"
import type { Answer } from "./exchange.ts"

/** An error that has a row in the table of refusals. */
export interface Refusal {
  readonly _tag: keyof typeof refusals
  readonly message: string
}

export const isRefusal = (error: unknown): error is Refusal =>
  error instanceof Error && "_tag" in error && typeof error._tag === "string" && Object.hasOwn(refusals, error._tag)

/** The problem's JSON text. */
export const problemText = (refusal: Refusal): string => {
  const { status, title } = refusals[refusal._tag]
  const fields: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(refusal)) {
    if (!notExtensions.has(key)) fields[key] = value
  }
  return JSON.stringify({
    type: `urn:durable-streams:${refusal._tag}`,
    title,
    status,
    detail: refusal.message,
    ...fields
  })
}

export const problem = (refusal: Refusal): Answer => {
  const headers: Record<string, string> = { "content-type": "application/problem+json" }
  if ("allow" in refusal && Array.isArray(refusal.allow)) headers["allow"] = refusal.allow.join(", ")
  if (refusal._tag === "Overloaded") headers["retry-after"] = "1"
  return { status: refusals[refusal._tag].status, headers, body: problemText(refusal) }
}

const notExtensions = new Set(["_tag", "name", "message", "stack", "cause"])
