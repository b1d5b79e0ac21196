// Stream stage: each of CHANNELS values through nn_value_cast, then one register.
module nn_cast #(
    parameter int CHANNELS   = 1,
    parameter int IN_WIDTH   = 8,
    parameter int IN_SIGNED  = 0,
    parameter int DROP       = 0,
    parameter int OUT_WIDTH  = 8,
    parameter int OUT_SIGNED = 0,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0,
    parameter int RELU       = 0,
    parameter int SLOPE      = 0,
    parameter int SLOPE_UP   = 0
) (
    input  logic                          clk,
    input  logic                          rst,
    input  logic                          in_valid,
    output logic                          in_ready,
    input  logic [ CHANNELS*IN_WIDTH-1:0] in_data,
    output logic                          out_valid,
    input  logic                          out_ready,
    output logic [CHANNELS*OUT_WIDTH-1:0] out_data
);
  wire [CHANNELS*OUT_WIDTH-1:0] cast;
  generate
    for (genvar c = 0; c < CHANNELS; c++) begin : g_channel
      nn_value_cast #(
          .IN_WIDTH(IN_WIDTH), .IN_SIGNED(IN_SIGNED), .DROP(DROP), .OUT_WIDTH(OUT_WIDTH), .OUT_SIGNED(OUT_SIGNED),
          .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW), .RELU(RELU), .SLOPE(SLOPE), .SLOPE_UP(SLOPE_UP)
      ) u_cast (
          .in_code (in_data[c*IN_WIDTH+:IN_WIDTH]),
          .out_code(cast[c*OUT_WIDTH+:OUT_WIDTH])
      );
    end
  endgenerate

  assign in_ready = !out_valid || out_ready;
  always_ff @(posedge clk) begin
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready) out_data <= cast;
  end
endmodule
