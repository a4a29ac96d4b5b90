/**
 * Expressions of the sweep file, such as `1e-3 * sqrt(batch_size / 32)`: arithmetic on numbers over the point's own
 * parameters. Parsed and computed by mathjs (its number-only build); everything that is not in the closed set below
 * (assignments, access to members, matrices, units, other functions) is refused before anything is computed.
 */
import {
  absDependencies,
  addDependencies,
  andDependencies,
  cbrtDependencies,
  ceilDependencies,
  create,
  divideDependencies,
  expDependencies,
  expm1Dependencies,
  floorDependencies,
  largerDependencies,
  largerEqDependencies,
  log10Dependencies,
  log1pDependencies,
  log2Dependencies,
  logDependencies,
  maxDependencies,
  minDependencies,
  modDependencies,
  multiplyDependencies,
  notDependencies,
  orDependencies,
  parseDependencies,
  powDependencies,
  roundDependencies,
  signDependencies,
  smallerDependencies,
  smallerEqDependencies,
  sqrtDependencies,
  subtractDependencies,
  unaryMinusDependencies,
  unaryPlusDependencies,
  xorDependencies,
  type FactoryFunctionMap,
  type MathNode,
} from 'mathjs/number';
import type { ParameterValue } from '../spec.js';
import { rounded } from './domain.js';

/** Functions that an expression may call. */
const expressionFunctions = [
  ...[
    'abs',
    'cbrt',
    'ceil',
    'exp',
    'expm1',
    'floor',
    'log',
    'log10',
    'log1p',
    'log2',
    'max',
    'min',
    'pow',
    'round',
  ],
  ...['sign', 'sqrt'],
] as const;

/** Names with a value of their own, unless a parameter has the same name. */
export const expressionConstants: ReadonlyMap<string, number> = new Map([
  ['pi', Math.PI],
  ['e', Math.E],
]);

const operators: ReadonlySet<string> = new Set([
  ...['add', 'subtract', 'multiply', 'divide', 'pow', 'mod', 'unaryMinus', 'unaryPlus'],
  ...['smaller', 'smallerEq', 'larger', 'largerEq', 'equal', 'unequal', 'and', 'or', 'not', 'xor'],
]);

const functions: ReadonlySet<string> = new Set(expressionFunctions);

const MAX_LENGTH = 1000;

const parts = [
  ...[parseDependencies, addDependencies, subtractDependencies, multiplyDependencies, divideDependencies],
  ...[powDependencies, modDependencies, unaryMinusDependencies, unaryPlusDependencies],
  ...[smallerDependencies, smallerEqDependencies, largerDependencies, largerEqDependencies],
  ...[andDependencies, orDependencies, notDependencies, xorDependencies],
  ...[
    absDependencies,
    cbrtDependencies,
    ceilDependencies,
    expDependencies,
    expm1Dependencies,
    floorDependencies,
  ],
  ...[
    logDependencies,
    log10Dependencies,
    log1pDependencies,
    log2Dependencies,
    maxDependencies,
    minDependencies,
  ],
  ...[roundDependencies, signDependencies, sqrtDependencies],
].filter((part) => part !== undefined);

const math = create(Object.assign({}, ...parts) as FactoryFunctionMap);
// The number-only build compares numbers alone; `optimizer == "sgd"` compares words.
math.import(
  { equal: (a: unknown, b: unknown) => a === b, unequal: (a: unknown, b: unknown) => a !== b },
  { override: true },
);

export type Scope = ReadonlyMap<string, ParameterValue>;

export type Evaluation = { readonly value: string | number | boolean } | { readonly problem: string };

export interface Expression {
  /** Names that it refers to, functions and constants left out. */
  readonly names: readonly string[];
  /** Numbers are rounded to 12 significant digits. A problem: a name is missing, a type does not fit, not finite. */
  evaluate(scope: Scope): Evaluation;
}

export type Compilation =
  | { readonly expression: Expression }
  | {
      readonly problem: string;
      /** 0-based place in the text, where it is known. */
      readonly offset: number | null;
      /** The function that does not exist, where that is the problem. */
      readonly unknownFunction: string | null;
      /** Those that exist. */
      readonly functions: readonly string[];
    };

const message = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/ \(char \d+\)$/, '');

interface Findings {
  readonly names: Set<string>;
  problem: string | null;
  unknownFunction: string | null;
}

function inspect(node: MathNode, found: Findings): void {
  const refuse = (what: string): void => {
    found.problem ??= `${what} may not stand in an expression`;
  };
  if (math.isSymbolNode(node)) {
    found.names.add(node.name);
    return;
  }
  if (math.isFunctionNode(node)) {
    const name: unknown = node.fn.name;
    if (!math.isSymbolNode(node.fn)) refuse('this call');
    else if (!functions.has(String(name))) {
      found.problem ??= `there is no function \`${String(name)}\``;
      found.unknownFunction ??= String(name);
    }
    for (const argument of node.args) inspect(argument, found);
    return;
  }
  if (math.isOperatorNode(node)) {
    if (!operators.has(node.fn)) refuse(`the operator \`${node.op}\``);
  } else if (math.isConstantNode(node)) {
    const value: unknown = node.value;
    if (typeof value !== 'number' && typeof value !== 'string' && typeof value !== 'boolean')
      refuse(String(value));
  } else if (!math.isParenthesisNode(node) && !math.isConditionalNode(node) && !math.isRelationalNode(node)) {
    refuse(refused[node.type] ?? `\`${node.toString()}\``);
  }
  node.forEach((child) => {
    inspect(child, found);
  });
}

const refused: Readonly<Record<string, string>> = {
  AssignmentNode: 'an assignment (compare with `==`)',
  FunctionAssignmentNode: 'an assignment',
  AccessorNode: 'access to a member',
  IndexNode: 'an index',
  ArrayNode: 'a list',
  ObjectNode: 'an object',
  BlockNode: 'a second statement',
  RangeNode: 'a range',
};

const refusal = (
  problem: string,
  offset: number | null = null,
  unknownFunction: string | null = null,
): Compilation => ({ problem, offset, unknownFunction, functions: expressionFunctions });

/** @param text the expression, without the `=` in front of it */
export function compileExpression(text: string): Compilation {
  if (text.length > MAX_LENGTH) {
    return refusal(`it is longer than ${MAX_LENGTH} characters`);
  }
  if (text.trim() === '') return refusal('it is empty');
  let node: MathNode;
  try {
    node = math.parse(text);
  } catch (error) {
    const at = error instanceof SyntaxError && 'char' in error ? Number(error.char) : NaN;
    return refusal(message(error), Number.isFinite(at) ? Math.max(0, at - 1) : null);
  }
  const found: Findings = { names: new Set(), problem: null, unknownFunction: null };
  inspect(node, found);
  if (found.problem !== null) return refusal(found.problem, null, found.unknownFunction);
  const code = node.compile();
  const names = [...found.names];
  return {
    expression: {
      names,
      evaluate(scope) {
        const known = new Map<string, ParameterValue>();
        for (const name of names) {
          const value = scope.get(name) ?? expressionConstants.get(name);
          if (value === undefined) return { problem: `\`${name}\` has no value` };
          if (typeof value === 'object') return { problem: `\`${name}\` is neither a number nor a word` };
          known.set(name, value);
        }
        let value: unknown;
        try {
          value = code.evaluate(known);
        } catch (error) {
          return { problem: message(error) };
        }
        if (typeof value === 'string' || typeof value === 'boolean') return { value };
        if (typeof value !== 'number') return { problem: 'it gives no number' };
        return Number.isFinite(value) ? { value: rounded(value) } : { problem: `it gives ${value}` };
      },
    },
  };
}
