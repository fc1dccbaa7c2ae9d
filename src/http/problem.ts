/**
 * Refusals as RFC 9457 problem details (promise 11): status and title from the table beside the errors, the sentence
 * from the error, and the error's own fields as extensions.
 */
import { refusals } from "../domain/errors.ts"
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
  const { status } = refusals[refusal._tag]
  const headers: Record<string, string> = { "content-type": "application/problem+json" }
  if (status === 503) headers["retry-after"] = "1"
  if (refusal._tag === "StreamClosed") headers["stream-closed"] = "true"
  for (const [field, header] of told[refusal._tag] ?? []) {
    const value: unknown = field in refusal ? refusal[field as keyof Refusal] : undefined
    if (value !== undefined) headers[header] = Array.isArray(value) ? value.join(", ") : `${value as string | number}`
  }
  return { status, headers, body: problemText(refusal) }
}

/** Fields that clients of HTTP and of the protocol look for in headers (PROTOCOL.md 5.2). */
const told: { readonly [Tag in Refusal["_tag"]]?: ReadonlyArray<readonly [field: string, header: string]> } = {
  MethodNotAllowed: [["allow", "allow"]],
  StreamClosed: [["tail", "stream-next-offset"]],
  TailMismatch: [["tail", "stream-next-offset"]],
  OffsetBeyondTail: [["tail", "stream-next-offset"], ["life", "stream-life"]],
  OtherLife: [["tail", "stream-next-offset"], ["life", "stream-life"]],
  PreconditionFailed: [["tail", "stream-next-offset"]],
  ProducerFenced: [["epoch", "producer-epoch"]],
  ProducerGap: [["expected", "producer-expected-seq"], ["received", "producer-received-seq"]]
}

const notExtensions = new Set(["_tag", "name", "message", "stack", "cause"])
