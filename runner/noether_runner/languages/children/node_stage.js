'use strict';
// What runs inside the process of a JavaScript stage: the code, its `execute`, and the way back.
//
// Node only, no package. The protocol (runtimes.md §1.4, §7.3, §7.4):
// descriptor 4 is a memory file: one line of JSON (`token`, `file`, `code_bytes`), the code, then
// the argument as JSON text. Descriptor 3 takes the answer, one frame: `R` with the result as
// JSON text, or `E` with JSON members `class`, `type`, `message`, `traceback`.
//
// Everything needed after user code has run is bound before, so a stage may replace what it likes.

const fs = require('fs');
const vm = require('vm');
const { createRequire } = require('module');

const RESULT = 3;
const PAYLOAD = 4;
const LONGEST_TEXT = 16 * 1024;
const MOST_CAUSES = 5;

const { stringify, parse } = JSON;
const { writeSync } = fs;
const bufferFrom = Buffer.from;
const byteLength = Buffer.byteLength;
const stringOf = String;
const ErrorType = Error;
const isArray = Array.isArray;
const exit = process.exit.bind(process);
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

const request = readRequest();
let phase = 'load_error';
let answered = false;

process.on('uncaughtException', (thrown) => {
  // an author who listens as well wants to go on; otherwise this is how Node ends, but told
  if (process.listenerCount('uncaughtException') === 1) fail(phase, thrown);
});

main().catch((thrown) => fail(phase, thrown));

async function main() {
  process.argv = [process.argv[0], request.file];
  const execute = load(request.code, request.file);
  if (execute === undefined) return refuse('no_entry_point', 'no function named execute');
  if (typeof execute !== 'function') {
    return refuse('no_entry_point', `execute is not a function: it is of type ${typeof execute}`);
  }
  phase = 'raised';
  const value = await execute(parse(request.argument));
  answer(value);
}

// The value of `execute` after the code ran as a block in a function: top-level const, let and
// function are in reach of the line added at its end, names like `module` may be declared anew,
// and line numbers stay the author's.
function load(code, file) {
  const module = { exports: {}, id: file, filename: file, loaded: false };
  const require = createRequire(file);
  const options = { filename: file, columnOffset: -1 };
  if (vm.constants && vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER) {
    options.importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  }
  const body = vm.compileFunction(
    `{${code}\n;return typeof execute === 'undefined' ? undefined : execute;}`,
    ['require', 'module', 'exports', '__filename', '__dirname'],
    options,
  );
  const directory = file.slice(0, file.lastIndexOf('/'));
  const found = body.call(module.exports, require, module, module.exports, file, directory);
  if (found !== undefined) return found;
  return module.exports ? module.exports.execute : undefined;
}

function answer(value) {
  let text;
  try {
    text = stringify(value);
  } catch (thrown) {
    return refuse('invalid_output', `the result is not JSON: ${describe(thrown)}`);
  }
  if (text === undefined) {
    const kind = value === undefined ? 'undefined' : `a ${typeof value}`;
    return refuse('invalid_output', `the result is not JSON: execute returned ${kind}`);
  }
  answered = true;
  send('R', text);
}

function refuse(kind, message) {
  send('E', stringify({ class: kind, type: null, message: printable(message) }));
  exit(1);
}

function fail(kind, thrown) {
  send('E', stringify({
    class: isOutOfMemory(thrown) ? 'memory' : kind,
    type: typeName(thrown),
    message: described(thrown) + (answered ? ' (thrown after the result was returned)' : ''),
    traceback: stackOf(thrown),
  }));
  exit(1);
}

// What Node throws when a buffer does not fit below the memory limit; a full heap is an abort.
function isOutOfMemory(thrown) {
  return typeName(thrown) === 'RangeError' && /^Array buffer allocation failed/.test(thrown.message);
}

function described(thrown) {
  const place = phase === 'load_error' ? syntaxPlace(thrown) : '';
  return printable(describe(thrown) + place);
}

// `Type: text` for errors, the text of anything else; survives a toString that throws.
function describe(thrown, depth = 0) {
  try {
    if (thrown instanceof ErrorType || (thrown && typeof thrown.message === 'string')) {
      const text = stringOf(thrown.message);
      const told = text ? `${typeName(thrown)}: ${text}` : typeName(thrown);
      return isArray(thrown.errors) && depth < 2 ? told + members(thrown.errors, depth) : told;
    }
    return stringOf(thrown);
  } catch {
    return '(its text could not be made)';
  }
}

// What an AggregateError holds: its own text says nothing of it.
function members(errors, depth) {
  const told = errors.slice(0, MOST_CAUSES).map((each) => describe(each, depth + 1));
  return told.length ? ` (${told.join('; ')})` : '';
}

function typeName(thrown) {
  try {
    if (thrown === null || typeof thrown !== 'object') return typeof thrown;
    return printable(stringOf(thrown.name || thrown.constructor.name || 'Error'));
  } catch {
    return 'Error';
  }
}

// The author's frames of what was thrown and of what caused it; ours and those below are left out.
function stackOf(thrown) {
  try {
    const parts = new Map();
    for (let each = thrown; each && each.stack && parts.size < MOST_CAUSES; each = each.cause) {
      if (parts.has(each)) break;
      const lines = stringOf(each.stack).split('\n');
      const own = lines.findIndex((line) => line.includes(`${__filename}:`));
      parts.set(each, (own > 0 ? lines.slice(0, own) : lines).join('\n'));
    }
    return parts.size ? printable([...parts.values()].join('\ncaused by ')) : null;
  } catch {
    return null;
  }
}

// Where code does not compile: the first line of the stack says file and line.
function syntaxPlace(thrown) {
  try {
    const line = /:(\d+)\n/.exec(thrown.stack);
    const compiling = thrown.name === 'SyntaxError' && thrown.stack.startsWith(request.file);
    return compiling && line ? ` (stage.js, line ${line[1]})` : '';
  } catch {
    return '';
  }
}

function printable(text) {
  return text.slice(0, LONGEST_TEXT).replace(LONE_SURROGATE, '\uFFFD');
}

function send(tag, text) {
  write(bufferFrom(`\n${request.token} ${tag} ${byteLength(text)}\n${text}`, 'utf8'));
}

function write(bytes) {
  let offset = 0;
  while (offset < bytes.length) offset += writeSync(RESULT, bytes, offset);
}

function readRequest() {
  const content = Buffer.alloc(fs.fstatSync(PAYLOAD).size);
  let size = 0;
  while (size < content.length) {
    const count = fs.readSync(PAYLOAD, content, size, content.length - size, size);
    if (count === 0) break;
    size += count;
  }
  fs.closeSync(PAYLOAD);
  const lineEnd = content.indexOf(10);
  const header = parse(content.toString('utf8', 0, lineEnd));
  const codeEnd = lineEnd + 1 + header.code_bytes;
  return {
    token: header.token,
    file: header.file,
    code: content.toString('utf8', lineEnd + 1, codeEnd),
    argument: content.toString('utf8', codeEnd),
  };
}
