/**
 * The comments of `src` name their actors, and `plain-comments.ts` would say so if one did not: each complaint is seen once
 * on a made-up file.
 */
import { assert, describe, it } from "vitest"
import { riddles } from "./plain-comments.ts"
import { readFiles } from "./read-files.ts"

describe("the comments of src", () => {
  it("name the actor of each clause", () => {
    assert.deepStrictEqual(readFiles("src").flatMap(riddles), [])
  })
})

describe("the check of comments complains about", () => {
  const cases: ReadonlyArray<readonly [title: string, comment: string, clause: string]> = [
    ["a comment that begins with what", "/** What all answers share. */", "What all answers share"],
    ["a comment that begins with who", "/** Who waits for an answer. */", "Who waits for an answer"],
    ["a sentence about whoever", "// It stops. Whoever asks is told.", "Whoever asks is told"],
    ["a sentence about nobody", "// Is it there? Nobody knows.", "Nobody knows"],
    ["a half of a sentence", "// It is kept; what is left is dropped.", "what is left is dropped"],
    ["an explanation", "// It stops: nobody reads it.", "nobody reads it"],
    ["a parenthesis", "// A following (what is kept alive) ends.", "what is kept alive"],
    ["a clause after a comma", "// When it is full, somebody waits.", "somebody waits"],
    ["a clause after and", "// The disk is full and what comes is lost.", "what comes is lost"],
    ["a clause after but", "// It is sent but nobody reads it.", "nobody reads it"],
    ["a clause after or", "// The client reads it or somebody else does.", "somebody else does"],
    ["who asks after and", "// The limit of files, and who gets them.", "who gets them"],
    ["a clause after so", "// It ends, so whoever waits goes on.", "whoever waits goes on"],
    ["a clause after that", "// An error that nobody hears ends it.", "nobody hears ends it"],
    ["a clause after if", "// It waits if somebody writes.", "somebody writes"],
    ["a clause after when", "// It sleeps when nobody reads.", "nobody reads"],
    ["a clause after where", "// It ends where what follows begins.", "what follows begins"],
    ["a clause after because", "// It stops because what it needs is gone.", "what it needs is gone"],
    ["a clause after while", "// It waits while somebody writes.", "somebody writes"],
    ["a clause that begins on the next line", "/**\n * It sleeps when\n * nobody reads.\n */", "nobody reads"],
    ["a clause between lines of a comment", "// It sleeps when\n  // nobody reads.", "nobody reads"],
    ["a paragraph", "/**\n * The rooms\n *\n * Nobody else.\n */", "Nobody else"],
    ["an item of a list", "/**\n * The callers\n * - whoever asks\n */", "whoever asks"],
    ["a clause with code", "// What the `Caller` sends.", "What the `Caller` sends"],
    [
      "a long clause, and shows its beginning",
      "// What waits on a connection whose client reads no answer for a minute is dropped.",
      "What waits on a connection whose client reads no answer for…"
    ]
  ]

  for (const [title, comment, clause] of cases) {
    it(title, () => {
      const line = 1 + Math.max(0, comment.split("\n").findIndex((text) => text.includes(clause.slice(0, 10))))
      assert.deepStrictEqual(riddles({ path: "src/http/router.ts", text: `${comment}\nexport const a = 1\n` }), [
        `src/http/router.ts:${line} says "${clause}": name the actor, such as the reader or the server.`
      ])
    })
  }

  it("each clause of a comment behind code, at its line", () => {
    const text = `const a = 1\nconst b = 2 // What is left, and nobody reads it.\n`
    assert.deepStrictEqual(riddles({ path: "src/api/api.ts", text }), [
      `src/api/api.ts:2 says "What is left, and nobody reads it": name the actor, such as the reader or the server.`,
      `src/api/api.ts:2 says "nobody reads it": name the actor, such as the reader or the server.`
    ])
  })
})

describe("the check of comments is content with", () => {
  const cases: ReadonlyArray<readonly [title: string, text: string]> = [
    ["the object of a verb", "// The room says what it is for."],
    ["the object of a preposition", "// It depends on what the client sends."],
    ["several indirect questions", "// It says how a log is read, what it costs and what is left."],
    ["what to do", "// The message says why and what to do."],
    ["a relative pronoun", "// A client who waits is answered."],
    ["a relative pronoun after a comma", "// It belongs to the owner, who may remove it."],
    ["two relative pronouns", "// A client who has read it and who waits is answered."],
    ["the object of a clause", "// The server tells nobody."],
    ["code in a comment", "// It ends: `what` is the name, and `nobody` the value."],
    ["a quotation", `// The gate asks: "who are you?"`],
    ["strings, which users read", `export const a = "What is left? Nobody knows." // As the server says it.`],
    ["names", "export const what = 1, nobody = 2"],
    ["parts of words", "// It ends: somewhat later, and whole."]
  ]

  for (const [title, text] of cases) {
    it(title, () => assert.deepStrictEqual(riddles({ path: "src/http/router.ts", text }), []))
  }
})
