/**
 * Sends one hostile request and judges its answer.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { Reply } from "../../support/wire.ts"
import { request, Wire } from "../../support/wire.ts"
import type { HostileCase } from "./hostile-cases.ts"

/** Returns a sentence for each fault of the answer, or of the connection after it. */
export const judge = async (
  port: number,
  pid: number,
  { bytes, follows = false, status, title }: HostileCase,
  answerMillis: number
): Promise<ReadonlyArray<string>> => {
  const wire = await Wire.open(port)
  const violations: Array<string> = []
  const wrong = (sentence: string) => violations.push(`${title}: ${sentence}`)
  try {
    const from = performance.now()
    const reply = await within(answerMillis, wire.send(bytes).head())
    if (reply === undefined) return [`${title}: no answer within ${answerMillis} ms`]
    const millis = performance.now() - from
    if (millis > answerMillis) wrong(`answered after ${Math.round(millis)} ms`)
    const isRefusal = reply.status >= 400 && reply.status < 500
    if (status === undefined ? !isRefusal : reply.status !== status) wrong(`answered with ${reply.status}`)
    if ("x-evil" in reply.headers) wrong("put a header of its own into the answer")
    if (follows) return violations
    const body = await within(answerMillis, wire.body(reply))
    if (body === undefined) return [...violations, `${title}: half an answer`]
    if (isRefusal && !isExplained({ ...reply, body })) wrong(`does not say why: ${body.toString().slice(0, 200)}`)
    const order = await within(2 * answerMillis, inOrder(wire, reply, pid))
    if (order !== true) wrong("leaves a connection that is neither closed nor in order")
    return violations
  } catch (error) {
    return [...violations, `${title}: ${String(error)}`]
  } finally {
    wire.close()
  }
}

/** Whether the body is a problem (RFC 9457), or an error of the protocol's subscriptions. */
const isExplained = ({ body, headers, status }: Reply): boolean => {
  const value = JSON.parse(body.toString()) as {
    readonly status?: number
    readonly detail?: string
    readonly error?: unknown
  }
  return headers["content-type"] === "application/problem+json"
    ? value.status === status && typeof value.detail === "string"
    : headers["content-type"] === "application/json" && typeof value.error === "object"
}

/** Whether the connection ends if the answer says so, and otherwise answers the next request correctly. */
const inOrder = async (wire: Wire, { headers }: Pick<Reply, "headers">, pid: number): Promise<boolean> => {
  if (headers["connection"]?.toLowerCase() === "close") return wire.ended()
  const health = await wire.send(request("GET", "/health")).reply()
  return health.status === 200 && health.body.includes(`"pid":${pid},`)
}

const within = <A>(millis: number, answer: Promise<A>): Promise<A | undefined> => {
  const controller = new AbortController()
  const late = sleep(millis, undefined, { signal: controller.signal }).catch(() => undefined)
  return Promise.race([answer, late]).finally(() => controller.abort())
}
