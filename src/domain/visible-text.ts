/**
 * Makes text from elsewhere harmless for a terminal: writes each character that a terminal obeys, or that turns a line
 * around, as `\u` and four digits. Browser-safe.
 */

/** Escapes every such character, line breaks and tabs included: the result is one line. */
export const toVisible = (text: string): string => text.replace(obeyed, escapeOf)

/** The same, but keeps line breaks and tabs: for text of several lines, and for JSON, which keeps its value. */
export const toVisibleLines = (text: string): string => text.replace(obeyedInLines, escapeOf)

// Controls (C0, DEL, C1), half characters, marks and overrides of the writing direction, separators of lines and
// paragraphs.
const obeyed = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu
const obeyedInLines = /(?![\t\n])[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

const escapeOf = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
