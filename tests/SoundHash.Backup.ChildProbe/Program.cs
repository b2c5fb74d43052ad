using System.Globalization;
using System.Runtime.InteropServices;

// A program for tests of process handling. Usage: child-probe VERB [N]
//   cat            copies stdin to stdout
//   count          prints the number of bytes read from stdin when stdin ends
//   write N        writes N bytes to stdout
//   close-early N  reads N bytes of stdin, closes it and ends with 0
//   die N          reads N bytes of stdin, complains on stderr and ends with 7
//   complain N     writes N lines to stderr and ends with 3
//   stubborn       ignores SIGTERM, says "ready" and waits for ever
var number = args.Length > 1 ? long.Parse(args[1], CultureInfo.InvariantCulture) : 0;
await using var input = Console.OpenStandardInput();
await using var output = Console.OpenStandardOutput();
var buffer = new byte[64 * 1024];
switch (args[0])
{
    case "cat":
        await input.CopyToAsync(output);
        return 0;
    case "count":
        long total = 0;
        int read;
        while ((read = await input.ReadAsync(buffer)) > 0)
        {
            total += read;
        }

        await Console.Out.WriteAsync(total.ToString(CultureInfo.InvariantCulture));
        return 0;
    case "write":
        for (; number > 0; number -= buffer.Length)
        {
            await output.WriteAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, number)));
        }

        return 0;
    case "close-early":
        await input.ReadExactlyAsync(new byte[number]);
        return 0;
    case "die":
        await input.ReadExactlyAsync(new byte[number]);
        await Console.Error.WriteLineAsync("child-probe: died on purpose");
        return 7;
    case "complain":
        for (var line = 1; line <= number; line++)
        {
            await Console.Error.WriteLineAsync($"line {line}");
        }

        return 3;
    case "stubborn":
        using (PosixSignalRegistration.Create(PosixSignal.SIGTERM, static context => context.Cancel = true))
        {
            await Console.Out.WriteLineAsync("ready");
            await Task.Delay(Timeout.Infinite);
        }

        return 0;
    default:
        await Console.Error.WriteLineAsync($"unknown verb {args[0]}");
        return 2;
}
