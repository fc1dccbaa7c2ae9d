/**
 * Refusals: errors that answer a request. The class of a refusal says once how the answer looks and how a command ends that
 * meets it: status, title, headers, body, exit code. `http/problem.ts` answers with every value that describes itself so,
 * and OpenAPI reads the status from the same class; a folder has refusals of its own by defining their classes.
 * Browser-safe: imports nothing but `effect`.
 */
import { Predicate, Runtime, Schema } from "effect"
import { exitCodeOfStatus } from "./exit-codes.ts"

const TypeId = "~durable-streams/Refusal"

/** A refusal of any class. */
export interface Refusal extends Error {
  readonly [TypeId]: typeof TypeId
  readonly _tag: string
  /** Names the kind of the refusal for programs (RFC 9457 3.1.1). */
  readonly type: string
  /** Names the kind of the refusal for people, the same for each refusal of its class. */
  readonly title: string
  readonly status: number
  /** By lower-case names, without `content-type`. */
  readonly headers: Readonly<Record<string, string>>
  /** Undefined: the body is a problem (RFC 9457). */
  readonly body: RefusalBody | undefined
  /** The exit code of a command that fails with the refusal. */
  readonly [Runtime.errorExitCode]: number
}

export interface RefusalBody {
  readonly contentType: string
  readonly text: string
}

/** What a class says of its refusals; each is a function of the refusal if refusals of the class differ in it. */
interface RefusalDescription<in Fields> {
  readonly status: number
  readonly title: string
  /** Headers of the answer. Those that are undefined are left out. */
  readonly headers?: (refusal: Fields) => Readonly<Record<string, string | number | undefined>>
  /** The body of the answer, if it is not to be a problem. */
  readonly body?: (refusal: Fields & Error) => RefusalBody
  /** Left out: the status decides. */
  readonly exitCode?: number
}

/**
 * Defines a class of refusals: `Schema.TaggedError` with a description. The fields are shown to the caller in a problem
 * beside `detail`, which is the message. No field may have the name of a property of `Refusal`.
 */
export const Refusal = <Self = never>() =>
<Tag extends string, const Fields extends Schema.Struct.Fields>(
  tag: Tag,
  fields: Fields,
  description: RefusalDescription<Schema.TaggedStruct<Tag, Fields>["Type"]>
) => {
  const { body, exitCode, headers, status, title } = description
  const Class = Schema.TaggedError<Self, Omit<Refusal, Exclude<keyof Error, Runtime.errorExitCode> | "_tag">>()(
    tag,
    fields,
    {
      httpApiStatus: status,
      description: title
    }
  )
  const type = `urn:durable-streams:${tag}`
  const code = exitCode ?? exitCodeOfStatus(status)
  type Instance = Schema.TaggedStruct<Tag, Fields>["Type"] & Error
  const properties: PropertyDescriptorMap & ThisType<Instance> = {
    [TypeId]: { value: TypeId },
    type: { value: type },
    title: { value: title },
    status: { value: status },
    headers: {
      get() {
        return withoutUndefined(headers?.(this) ?? {})
      }
    },
    body: {
      get() {
        return body?.(this)
      }
    },
    [Runtime.errorExitCode]: { value: code }
  }
  exitCodes.set(type, code)
  Object.defineProperties((Class as { readonly prototype: object }).prototype, properties)
  return Class
}

export const isRefusal = (value: unknown): value is Refusal =>
  value instanceof Error && Predicate.hasProperty(value, TypeId)

/** The exit code that the class of a type names; undefined if no module with such a class is loaded. */
export const exitCodeOfType = (type: string): number | undefined => exitCodes.get(type)

/** Grows by each class that a module defines when it is loaded. */
const exitCodes = new Map<string, number>()

/** The fields of a refusal, without its tag and its message. */
export const fieldsOf = (refusal: Error): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(refusal).filter(([key]) => !ofEveryError.has(key)))

/** A name as the sentence of a refusal shows it. */
export const quoted = (name: string): string => JSON.stringify(name)

const ofEveryError = new Set(["_tag", "name", "message", "stack", "cause"])

const withoutUndefined = (headers: Readonly<Record<string, string | number | undefined>>) => {
  const given: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) given[name] = `${value}`
  }
  return given
}
