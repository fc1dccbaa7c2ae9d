/**
 * A refusal describes itself: a class that a test defines is answered, documented and turned into an exit code as it
 * says, and every class of the domain says the same in each of these places.
 */
import { assert, describe, it } from "@effect/vitest"
import { Exit, Runtime, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { ServerRefused } from "../../src/client/client-answers.ts"
import * as errors from "../../src/domain/errors.ts"
import { exitCodes } from "../../src/domain/exit-codes.ts"
import { isRefusal, Refusal } from "../../src/domain/refusal.ts"
import { endingOf } from "../../src/durable-streams/cli.ts"
import { HookError } from "../../src/hooks/hooks.ts"
import { toAnswer } from "../../src/http/problem.ts"

class KettleOnly extends Refusal<KettleOnly>()(
  "KettleOnly",
  { drink: Schema.String, litres: Schema.optionalKey(Schema.Finite) },
  {
    status: 418,
    title: "Not a coffee pot",
    headers: ({ drink, litres }) => ({ "kettle-drink": drink, "kettle-litres": litres }),
    exitCode: 42
  }
) {
  override get message() {
    return `This kettle makes no ${this.drink}.`
  }
}

class PlainlyRefused extends Refusal<PlainlyRefused>()(
  "PlainlyRefused",
  { message: Schema.String },
  { status: 409, title: "Refused", body: ({ message }) => ({ contentType: "text/plain", text: `No: ${message}` }) }
) {}

const responses = (error: Schema.Top) => {
  const endpoint = HttpApiEndpoint.get("brew", "/brew", { success: Schema.String, error })
  const api = HttpApi.make("kettle").add(HttpApiGroup.make("kettle").add(endpoint))
  return OpenApi.fromApi(api).paths["/brew"]!.get!.responses
}

describe("a refusal that a test defines", () => {
  it("is answered as a problem with its status, title, sentence, fields and headers", () => {
    const { body, headers, status } = toAnswer(new KettleOnly({ drink: "coffee", litres: 1.5 }))
    assert.strictEqual(status, 418)
    assert.deepStrictEqual(headers, {
      "content-type": "application/problem+json",
      "kettle-drink": "coffee",
      "kettle-litres": "1.5"
    })
    assert.strictEqual(
      body,
      `{"type":"urn:durable-streams:KettleOnly","title":"Not a coffee pot","status":418,` +
        `"detail":"This kettle makes no coffee.","drink":"coffee","litres":1.5}`
    )
  })

  it("leaves out a header whose value is not known", () => {
    assert.deepStrictEqual(toAnswer(new KettleOnly({ drink: "coffee" })).headers, {
      "content-type": "application/problem+json",
      "kettle-drink": "coffee"
    })
  })

  it("is answered with a body of its own if it has one", () => {
    assert.deepStrictEqual(toAnswer(new PlainlyRefused({ message: "not today" })), {
      status: 409,
      headers: { "content-type": "text/plain" },
      body: "No: not today"
    })
  })

  it("is in the OpenAPI document of an endpoint that names it, with its status and its title", () => {
    assert.strictEqual(responses(KettleOnly)["418"]?.description, "Not a coffee pot")
  })

  it("ends a command with its exit code, else with that of its status", () => {
    assert.deepStrictEqual(endingOf(Exit.fail(new KettleOnly({ drink: "coffee" }))), {
      code: 42,
      message: "This kettle makes no coffee."
    })
    assert.strictEqual(endingOf(Exit.fail(new PlainlyRefused({ message: "no" }))).code, exitCodes.conflict)
    assert.strictEqual(codeOf(418, "urn:durable-streams:KettleOnly"), 42, "when a server says it")
  })

  it("can be told from other errors by its value, and is still a schema and a tagged error", () => {
    const refusal = new KettleOnly({ drink: "coffee" })
    assert.isTrue(isRefusal(refusal))
    assert.isFalse(isRefusal(new Error("no refusal")) || isRefusal({ ...refusal }) || isRefusal(undefined))
    assert.isFalse(isRefusal(new ServerRefused({ status: 418, message: "", problem: {} })))
    const encoded = Schema.encodeSync(KettleOnly)(refusal)
    assert.deepStrictEqual(encoded, { _tag: "KettleOnly", drink: "coffee" })
    assert.deepStrictEqual(Schema.decodeSync(KettleOnly)(encoded), refusal)
  })
})

describe("every refusal of the domain", () => {
  const prototypes = [...Object.values(errors), HookError].map(({ prototype }) => prototype).filter(isRefusal)

  it("has a title, a type of its own, and a status that is an error", () => {
    assert.strictEqual(new Set(prototypes.map(({ type }) => type)).size, prototypes.length)
    for (const { status, title, type } of prototypes) {
      assert.isTrue(status >= 400 && status < 600, type)
      assert.match(title, /^[A-Z].*[a-zA-Z]$/, type)
    }
  })

  it("ends a command with the same code, whether a server sends it or the command itself meets it", () => {
    for (const { [Runtime.errorExitCode]: code, status, type } of prototypes) {
      assert.strictEqual(codeOf(status, type), code, type)
    }
  })

  it("of a kind that a command does not know ends it with the code of its status", () => {
    assert.deepStrictEqual(
      [400, 401, 403, 404, 409, 410, 412, 418, 503].map((status) => codeOf(status, "urn:durable-streams:Later")),
      [
        2,
        4,
        4,
        3,
        5,
        3,
        5,
        1,
        1
      ]
    )
  })
})

const codeOf = (status: number, type: string) =>
  endingOf(Exit.fail(new ServerRefused({ status, message: "", problem: { type } }))).code
