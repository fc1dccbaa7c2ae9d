/**
 * Turns refusals into answers (promise 11). The refusal says its status, title, headers and sentence itself; its body is a
 * problem (RFC 9457) with the refusal's fields as extensions, unless the refusal has a body of its own.
 */
import type { Refusal } from "../domain/refusal.ts"
import { fieldsOf } from "../domain/refusal.ts"
import type { Answer } from "./exchange.ts"

/** Returns the problem as JSON text. */
export const problemText = (refusal: Refusal): string => {
  const { message, status, title, type } = refusal
  return JSON.stringify({ type, title, status, detail: message, ...fieldsOf(refusal) })
}

/** Returns the answer to a request that is refused. */
export const toAnswer = (refusal: Refusal): Answer => {
  const { contentType, text } = refusal.body ?? { contentType: "application/problem+json", text: problemText(refusal) }
  return { status: refusal.status, headers: { "content-type": contentType, ...refusal.headers }, body: text }
}
