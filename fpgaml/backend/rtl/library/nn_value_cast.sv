// One value: an optional ReLU, then a cast to another fixed-point type, rounding and overflow as ap_fixed has them.
//
// A code of IN_WIDTH bits loses its DROP lowest bits (or gains -DROP zeros); what was lost rounds it, and what is left
// of OUT_WIDTH bits saturates or wraps. No registers.
module nn_value_cast #(
    parameter int IN_WIDTH   = 8,
    parameter int IN_SIGNED  = 0,
    parameter int DROP       = 0,
    parameter int OUT_WIDTH  = 8,
    parameter int OUT_SIGNED = 0,
    parameter int ROUNDING   = 0,  // TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV
    parameter int OVERFLOW   = 0,  // WRAP, SAT, SAT_ZERO, SAT_SYM
    parameter int RELU       = 0,
    parameter int SLOPE      = 0,  // of the negative side, in units of 2**-SLOPE_UP
    parameter int SLOPE_UP   = 0
) (
    input  logic [ IN_WIDTH-1:0] in_code,
    output logic [OUT_WIDTH-1:0] out_code
);
  localparam int MID  = IN_WIDTH + 1 + (SLOPE == 0 ? 0 : 32 + SLOPE_UP);
  localparam int CUT  = DROP > 0 ? DROP : 0;
  localparam int UP   = DROP < 0 ? -DROP : 0;
  localparam int KEPT = MID > CUT + 1 ? MID : CUT + 1;
  localparam int WIDE = (KEPT + UP > OUT_WIDTH ? KEPT + UP : OUT_WIDTH) + 2;

  localparam logic signed [WIDE-1:0] ONE  = 1;
  localparam logic signed [WIDE-1:0] HIGH = (ONE <<< (OUT_WIDTH - OUT_SIGNED)) - ONE;
  localparam logic signed [WIDE-1:0] LOW  = OUT_SIGNED == 0 ? 0 : OVERFLOW == 3 ? -HIGH : -HIGH - ONE;

  wire signed [IN_WIDTH:0] x = {IN_SIGNED != 0 && in_code[IN_WIDTH-1], in_code};
  wire negative = x[IN_WIDTH];

  // The function, exact
  wire signed [MID-1:0] y;
  generate
    if (RELU == 0) begin : g_linear
      assign y = x;
    end else if (SLOPE == 0) begin : g_relu
      assign y = negative ? '0 : x;
    end else begin : g_leaky
      localparam logic signed [MID-1:0] FACTOR = SLOPE;
      wire signed [MID-1:0] wide = MID'(x);
      assign y = negative ? wide * FACTOR : wide <<< SLOPE_UP;
    end
  endgenerate

  // Rounding: the floor, plus one if the bits cut off say so
  wire signed [WIDE-1:0] fine = WIDE'(y) <<< UP;
  wire signed [WIDE-1:0] whole = fine >>> CUT;
  wire below = fine[WIDE-1];
  logic more;
  generate
    if (CUT == 0) begin : g_nothing_cut
      assign more = 1'b0;
    end else begin : g_cut
      wire half = fine[CUT-1];
      wire rest;
      if (CUT == 1) begin : g_one
        assign rest = 1'b0;
      end else begin : g_more
        assign rest = |fine[CUT-2:0];
      end
      always_comb begin
        case (ROUNDING)
          1: more = below & (half | rest);
          2: more = half;
          3: more = half & (rest | below);
          4: more = half & (rest | ~below);
          5: more = half & rest;
          6: more = half & (rest | whole[0]);
          default: more = 1'b0;
        endcase
      end
    end
  endgenerate
  wire signed [WIDE-1:0] rounded = whole + $signed({{(WIDE - 1) {1'b0}}, more});

  // Overflow
  generate
    if (OVERFLOW == 0) begin : g_wrap
      assign out_code = rounded[OUT_WIDTH-1:0];
    end else begin : g_bounded
      wire above = rounded > HIGH;
      wire under = rounded < LOW;
      wire signed [WIDE-1:0] bounded =
          above ? (OVERFLOW == 2 ? '0 : HIGH) : under ? (OVERFLOW == 2 ? '0 : LOW) : rounded;
      assign out_code = bounded[OUT_WIDTH-1:0];
    end
  endgenerate
endmodule
