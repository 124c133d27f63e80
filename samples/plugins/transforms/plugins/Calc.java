import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import static java.nio.charset.StandardCharsets.UTF_8;

/**
 * A Model Context Protocol server over stdio in one file, run by {@code java Calc.java}.
 *
 * <p>The JDK has no JSON, and four sums need little of it: one message stands on one line, its
 * numbers are found by their names. A plugin that takes texts wants a JSON library.
 * Source: modelcontextprotocol.io/specification/2025-06-18.
 */
public final class Calc {
  private static final String NUMBER = "(-?\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)";
  private static final Pattern ID = Pattern.compile("\"id\":\\s*(\\d+|\"[^\"]*\")");
  private static final Pattern METHOD = Pattern.compile("\"method\":\\s*\"([^\"]*)\"");
  private static final Pattern TOOL = Pattern.compile("\"name\":\\s*\"(\\w+_numbers)\"");
  private static final Pattern VERSION =
      Pattern.compile("\"protocolVersion\":\\s*\"([0-9-]+)\"");
  private static final String PAIR =
      "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"},"
          + "\"b\":{\"type\":\"number\"}},\"required\":[\"a\",\"b\"]}";
  private static final String RESULT =
      "{\"type\":\"object\",\"properties\":{\"result\":{\"type\":\"number\"}},"
          + "\"required\":[\"result\"]}";

  public static void main(String[] arguments) throws Exception {
    var in = new BufferedReader(new InputStreamReader(System.in, UTF_8));
    var out = new PrintStream(System.out, true, UTF_8);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String id = found(ID, line);
      if (id != null) { // a notification wants no answer
        out.print("{\"jsonrpc\":\"2.0\",\"id\":" + id + "," + answer(line) + "}\n");
        out.flush();
      }
    }
  }

  private static String answer(String line) {
    switch (String.valueOf(found(METHOD, line))) {
      case "initialize":
        return "\"result\":{\"protocolVersion\":\"" + found(VERSION, line) + "\","
            + "\"capabilities\":{\"tools\":{}},"
            + "\"serverInfo\":{\"name\":\"calc\",\"version\":\"1.0.0\"}}";
      case "ping":
        return "\"result\":{}";
      case "tools/list":
        return "\"result\":{\"tools\":[" + tool("add") + "," + tool("multiply") + ","
            + tool("subtract") + "," + tool("divide") + "]}";
      case "tools/call":
        return "\"result\":" + call(found(TOOL, line), number("a", line), number("b", line));
      default:
        return "\"error\":{\"code\":-32601,\"message\":\"no such method\"}";
    }
  }

  private static String call(String tool, double a, double b) {
    if (tool.equals("divide_numbers") && b == 0) {
      return "{\"isError\":true,\"content\":[{\"type\":\"text\",\"text\":\"division_by_zero\"}],"
          + "\"structuredContent\":{\"code\":\"division_by_zero\"}}";
    }
    double result =
        switch (tool) {
          case "add_numbers" -> a + b;
          case "multiply_numbers" -> a * b;
          case "subtract_numbers" -> a - b;
          default -> a / b;
        };
    return "{\"content\":[{\"type\":\"text\",\"text\":\"" + result + "\"}],"
        + "\"structuredContent\":{\"result\":" + result + "}}";
  }

  private static String tool(String verb) {
    return "{\"name\":\"" + verb + "_numbers\",\"inputSchema\":" + PAIR
        + ",\"outputSchema\":" + RESULT + "}";
  }

  private static double number(String name, String line) {
    String text = found(Pattern.compile("\"" + name + "\":\\s*" + NUMBER), line);
    return text == null ? 0 : Double.parseDouble(text);
  }

  private static String found(Pattern pattern, String line) {
    Matcher matcher = pattern.matcher(line);
    return matcher.find() ? matcher.group(1) : null;
  }
}
