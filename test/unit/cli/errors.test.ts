import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ExitCode, WattsweepError, errorRegistry } from '../../../proto/errors.js';
import { fromServiceError } from '../../../client/coordinator.js';
import { Exit, reportFailure, revive, toWattsweepError } from '../../../cli/errors.js';

let said = '';
beforeEach(() => {
  said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

describe('a failure of a command', () => {
  it('names its code, what is wrong and what to do, and exits by cause', () => {
    const exit = reportFailure(
      new WattsweepError('SPEC_UNKNOWN_KEY', 'sweep.yaml:3:1: unknown key "sweap"'),
      false,
    );
    expect(exit).toBe(ExitCode.badInput);
    expect(said).toContain('error[SPEC_UNKNOWN_KEY]: sweep.yaml:3:1: unknown key "sweap"');
    expect(said).toContain(errorRegistry.SPEC_UNKNOWN_KEY.advice);
  });

  it('is one JSON object where JSON was asked for', () => {
    reportFailure(new WattsweepError('PORT_IN_USE', 'port 4722 on 127.0.0.1 is in use'), true);
    expect(JSON.parse(said)).toEqual({
      error: {
        code: 'PORT_IN_USE',
        message: 'port 4722 on 127.0.0.1 is in use',
        advice: errorRegistry.PORT_IN_USE.advice,
      },
    });
  });

  it('that is nobody’s fault but ours shows its stack', () => {
    expect(reportFailure(new TypeError('x is not a function'), false)).toBe(ExitCode.internal);
    expect(said).toContain('error[INTERNAL]: x is not a function');
    expect(said).toContain('errors.test');
  });

  it('in the arguments is a usage error', () => {
    const error = new CommanderError(1, 'commander.unknownOption', "error: unknown option '--trainer'");
    expect(reportFailure(error, false)).toBe(ExitCode.badInput);
    expect(said).toContain("error[USAGE]: unknown option '--trainer'");
  });

  it('says nothing when help was asked for, or all has been said', () => {
    expect(reportFailure(new CommanderError(0, 'commander.helpDisplayed', '(outputHelp)'), false)).toBe(0);
    expect(reportFailure(new Exit(5), false)).toBe(5);
    expect(said).toBe('');
  });

  it('of set-up keeps its own code and advice', () => {
    const failure = Object.assign(new Error('g++ is missing.'), {
      name: 'SetupError',
      code: 'SETUP_CXX',
      advice: 'Install g++.',
      detail: 'c++: not found',
    });
    expect(toWattsweepError(failure)).toMatchObject({
      code: 'SETUP_CXX',
      message: 'g++ is missing.\n  | c++: not found',
      advice: 'Install g++.',
    });
  });

  it('survives the way from a child process', () => {
    expect(revive({ code: 'NATS_CONFIG', message: 'm', advice: 'a' })).toMatchObject({
      code: 'NATS_CONFIG',
      advice: 'a',
    });
    expect(revive({ code: 'no such code', message: 'm', advice: '' }).code).toBe('INTERNAL');
  });
});

describe('an error of the API', () => {
  const serviceError = (code: status, metadata: Record<string, string> = {}): ServiceError => {
    const trailers = new Metadata();
    for (const [key, value] of Object.entries(metadata)) trailers.set(key, value);
    return Object.assign(new Error(`${code}: details`), { code, details: 'details', metadata: trailers });
  };

  it('is known by the code that the coordinator attached', () => {
    const error = fromServiceError(
      serviceError(status.NOT_FOUND, { 'wattsweep-code': 'SWEEP_NOT_FOUND' }),
      'a:1',
    );
    expect(error).toMatchObject({ code: 'SWEEP_NOT_FOUND', message: 'details' });
  });

  it.each([
    [status.UNAVAILABLE, 'COORDINATOR_UNREACHABLE'],
    [status.DEADLINE_EXCEEDED, 'COORDINATOR_UNREACHABLE'],
    [status.UNAUTHENTICATED, 'UNAUTHENTICATED'],
    [status.INTERNAL, 'INTERNAL'],
  ])('without a code is known by gRPC status %s: %s', (code, expected) => {
    const error = fromServiceError(serviceError(code), 'box:7722');
    expect(error.code).toBe(expected);
    expect(error.message).toContain('box:7722');
  });
});
