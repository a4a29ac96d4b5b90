import { describe, expect, it } from 'vitest';
import { compileExpression } from '../../../services/coordinator/core/search/index.js';
import type { ParameterValue } from '../../../services/coordinator/core/spec.js';

const evaluate = (text: string, scope: Record<string, ParameterValue> = {}): unknown => {
  const compiled = compileExpression(text);
  if (!('expression' in compiled)) return compiled.problem;
  const outcome = compiled.expression.evaluate(new Map(Object.entries(scope)));
  return 'value' in outcome ? outcome.value : outcome.problem;
};

describe('expressions', () => {
  it.each<[string, unknown]>([
    ['1e-3 * sqrt(b / 32)', 0.00141421356237],
    ['0.1 + 0.2', 0.3],
    ['b ^ 0.5', 8],
    ['-b % 7', 6],
    ['2 b', 128],
    ['min(b, 3) + max(1, 2, 5)', 8],
    ['log(8, 2) + log2(8) + log10(1000)', 9],
    ['round(2.567, 1)', 2.6],
    ['floor(2.5) + ceil(2.5) + abs(-1)', 6],
    ['b > 32 and not (b > 100) ? 1 : 2', 1],
    ['1 < b < 65', true],
    ['optimizer == "adamw" ? 0.1 : 0', 0.1],
    ['optimizer != "adamw"', false],
    ['"piece" ', 'piece'],
    ['pi', 3.14159265359],
    ['e', 2.71828182846],
  ])('%s', (text, value) => {
    expect(evaluate(text, { b: 64, optimizer: 'adamw' })).toEqual(value);
  });

  it('lets a parameter hide a constant', () => {
    expect(evaluate('e * 2', { e: 3 })).toBe(6);
  });

  it.each([
    ['a = 3', 'an assignment'],
    ['f(x) = x', 'an assignment'],
    ['a; b', 'a second statement'],
    ['b.constructor', 'access to a member'],
    ['b["constructor"]', 'access to a member'],
    ['[1, 2]', 'a list'],
    ['{a: 1}', 'an object'],
    ['1:3', 'a range'],
    ['b!', 'the operator `!`'],
    ['b to a', 'the operator `to`'],
    ['b.toString()', 'this call'],
    ['import(1)', 'no function `import`'],
    ['evaluate("1")', 'no function `evaluate`'],
    ['parse("1")', 'no function `parse`'],
    ['random()', 'no function `random`'],
    ['constructor("x")', 'no function `constructor`'],
    ['null', 'null'],
    ['', 'it is empty'],
    ['1 +* 2', 'Value expected'],
    ['(1', 'expected'],
    ['sqrt(-1)', 'gives NaN'],
    ['1 / 0', 'gives Infinity'],
    ['"a" + 1', 'Cannot convert'],
    ['c + 1', '`c` has no value'],
    ['schedule + 1', 'neither a number nor a word'],
    ['1'.repeat(1001), 'longer than'],
  ])('refuses %s', (text, reason) => {
    expect(evaluate(text, { b: 64, schedule: {} })).toContain(reason);
  });

  it('knows no name but those it is given', () => {
    for (const name of ['process', 'globalThis', 'constructor', '__proto__', 'sqrt', 'i']) {
      expect(evaluate(name)).toContain('has no value');
    }
  });

  it('lists the names that it refers to', () => {
    const compiled = compileExpression('a + sqrt(b) * pi');
    expect('expression' in compiled && compiled.expression.names).toEqual(['a', 'b', 'pi']);
  });
});
